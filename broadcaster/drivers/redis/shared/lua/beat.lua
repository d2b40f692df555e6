-- A process lives. ARGV: its name, milliseconds of its lease, '' or, for a new name, an epoch to begin; the former name.
-- Gives whether the lease stood, the epoch, whether the former name was found dead, and the names that are overdue.
local process, lease, epoch_of_mine, former = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local leases, time = KEY .. 'leases', now()
local score = redis.call('ZSCORE', leases, process)
if epoch_of_mine == '' and (not score or tonumber(score) < time) then return {0} end
local dead = 0
if former ~= '' then
  local overdue = redis.call('ZSCORE', leases, former)
  if overdue and tonumber(overdue) < time or redis.call('ZSCORE', KEY .. 'swept', former) then dead = 1 end
end
redis.call('ZADD', leases, time + lease, process)
if epoch_of_mine ~= '' then redis.call('SET', KEY .. 'epoch', epoch_of_mine, 'NX') end
return {1, redis.call('GET', KEY .. 'epoch'), dead, redis.call('ZRANGEBYSCORE', leases, '-inf', '(' .. time)}
