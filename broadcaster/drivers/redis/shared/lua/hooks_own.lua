-- Who sends webhooks. ARGV: the process, and for how many milliseconds; 0 lets go. Gives whether it is the one.
local key = KEY .. 'hooks:owner'
local owner = redis.call('GET', key)
if owner and owner ~= ARGV[3] then return 0 end
if tonumber(ARGV[4]) > 0 then
  redis.call('SET', key, ARGV[3], 'PX', ARGV[4])
  return 1
end
redis.call('DEL', key)
return 0
