-- Tells of those who went, unless they came meanwhile. ARGV: entries as those to keep, then who was back, both packed.
local present, leaving = KEY .. 'hooks:present', KEY .. 'hooks:leaving'
for _, entry in ipairs(unpack_one(ARGV[3])) do
  if redis.call('ZREM', leaving, entry[2]) == 1 then post(entry[4]) end
end
for _, spot in ipairs(unpack_one(ARGV[4])) do
  if redis.call('ZREM', leaving, spot) == 1 then redis.call('ZADD', present, 0, spot) end
end
