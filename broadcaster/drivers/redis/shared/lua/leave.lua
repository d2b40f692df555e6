-- A connection leaves. ARGV: app, channel, socket. Gives user, info and data if it was the last of its user.
return leave(ARGV[3], ARGV[4], ARGV[5])
