-- Keeps webhooks. ARGV: entries, packed: who came, who went, when that is due, and letters of receiver, id, event, made.
--
-- hooks:present, hooks:leaving   ZSET  who is there; who went -> when that is told
-- hooks:receivers                SET   whoever has ever been told something
-- hooks:letters:RECEIVER         STREAM
local present, leaving = KEY .. 'hooks:present', KEY .. 'hooks:leaving'
for _, entry in ipairs(unpack_one(ARGV[3])) do
  local came, went = entry[1], entry[2]
  if went ~= '' then
    redis.call('ZREM', present, went)
    redis.call('ZADD', leaving, entry[3], went)
  elseif came == '' then
    post(entry[4])
  elseif redis.call('ZADD', present, 0, came) == 1 and redis.call('ZREM', leaving, came) == 0 then
    post(entry[4])
  end
end
