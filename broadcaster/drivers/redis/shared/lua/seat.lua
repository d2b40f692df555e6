-- One more connection of an app, if all have room. ARGV: the process, FORMERS, the app, how many it would have, how many
-- all may have. Gives 1 or 0.
local gone = lost(ARGV[3])
if gone then return gone end
local process, formers, app, n, limit = ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local elsewhere = tonumber(redis.call('HGET', KEY .. 'totals:' .. app, '') or 0)
for name in (process .. ' ' .. formers):gmatch('%S+') do
  elsewhere = elsewhere - (redis.call('HGET', KEY .. 'counts:' .. name, app .. '\n') or 0)
end
if elsewhere + n > limit then return 0 end
count(process, formers, app, '', n)
return 1
