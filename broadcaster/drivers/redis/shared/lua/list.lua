-- All members of a channel, in the inbox. ARGV: the inbox, the request; app, channel.
answer(ARGV[3], ARGV[4], 'list' .. list(ARGV[5], ARGV[6]))
