-- Takes out some of what a dead process has left. ARGV: its name, '1' if it is to go whatever its lease says, how much at
-- once. Gives whether it is done, and what came of it: kind, app, channel, and user, info, data, socket of a member.
local process, force, most = ARGV[3], ARGV[4] == '1', tonumber(ARGV[5])
local leases, time = KEY .. 'leases', now()
local score = redis.call('ZSCORE', leases, process)
if not force and (not score or tonumber(score) >= time) then return {1, {}} end
local facts = {}
local entries = redis.call('SPOP', KEY .. 'joined:' .. process, most)
for _, entry in ipairs(entries) do
  local app, channel, socket = entry:match('^([^\n]*)\n([^\n]*)\n(.*)$')
  local removed = leave(app, channel, socket)
  if removed then
    facts[#facts + 1] = {'removed', app, channel, removed[1], removed[2], removed[3], socket}
  end
end
if #entries > 0 then return {0, facts} end
local counts, cursor, found = KEY .. 'counts:' .. process, '0', {}
repeat
  local scanned = redis.call('HSCAN', counts, cursor, 'COUNT', most)
  cursor, found = scanned[1], scanned[2]
until #found > 0 or cursor == '0'
for place = 1, #found, 2 do
  local app, channel = found[place]:match('^([^\n]*)\n(.*)$')
  local edge = count(process, '', app, channel, 0)
  facts[#facts + 1] = {edge == -1 and 'vacated' or 'lost', app, channel}
end
if #found > 0 then return {0, facts} end
redis.call('ZREM', leases, process)
if not force then
  redis.call('ZADD', KEY .. 'swept', time, process)
  redis.call('ZREMRANGEBYSCORE', KEY .. 'swept', '-inf', time - 86400000)
end
return {1, facts}
