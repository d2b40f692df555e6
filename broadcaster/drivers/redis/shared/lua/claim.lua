-- A process that has a new name claims its connections on one channel. ARGV: the name; app, channel; then socket, user,
-- info and data of each, by age. Gives for each 0 if it was there, 1 if it was missing, 2 if its user was too.
local gone = lost(ARGV[3])
if gone then return gone end
local process, app, channel = ARGV[3], ARGV[4], ARGV[5]
local key = KEY .. 'members:' .. app .. ':' .. channel
local found_missing = {}
for place = 6, #ARGV, 4 do
  local socket, name = ARGV[place], ARGV[place + 1]
  local found = redis.call('HGET', key, 'c' .. socket)
  local connection = found and unpack_one(found)
  if connection and connection[1] == name then
    local entry = app .. '\n' .. channel .. '\n' .. socket
    redis.call('SREM', KEY .. 'joined:' .. connection[2], entry)
    redis.call('SADD', KEY .. 'joined:' .. process, entry)
    redis.call('HSET', key, 'c' .. socket, pack({name, process, connection[3], connection[4]}))
    found_missing[#found_missing + 1] = 0
  else
    found_missing[#found_missing + 1] =
      1 + join(process, app, channel, socket, name, ARGV[place + 2], ARGV[place + 3], 0)
  end
end
return found_missing
