-- A channel is told how many it is. ARGV: app, channel. Gives the number.
local total = tonumber(redis.call('HGET', KEY .. 'totals:' .. ARGV[3], ARGV[4]) or 0)
if total > 0 then tell(ARGV[3], ARGV[4], {'count/1', total}) end
return total
