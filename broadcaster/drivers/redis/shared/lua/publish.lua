-- An event on several channels, kept where they are cache channels: all of it or nothing. ARGV: the event; then the Redis
-- channel, the key or '', and the milliseconds for which it is kept, of each.
for place = 4, #ARGV, 3 do
  if ARGV[place + 1] ~= '' then redis.call('SET', ARGV[place + 1], ARGV[3], 'PX', ARGV[place + 2]) end
  redis.call('PUBLISH', ARGV[place], ARGV[3])
end
