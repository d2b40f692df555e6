-- All members of a channel. ARGV: app, channel.
return list(ARGV[3], ARGV[4])
