-- What the other scripts begin with. ARGV[1] and ARGV[2] are what keys and Redis channels of this server begin with.
--
-- leases                ZSET  process -> when it counts as dead, in Redis's milliseconds
-- swept                 ZSET  process -> when it was found dead
-- counts:PROCESS        HASH  app \n channel -> subscriptions there; the channel '' stands for connections of the app
-- totals:APP            HASH  channel -> subscriptions on all processes
-- joined:PROCESS        SET   app \n channel \n socket: whom to take out when the process is dead
-- members:APP:CHANNEL   HASH  # -> number of changes, * -> number of users,
--                             u USER -> {info, its sockets by age}, c SOCKET -> {user, process, number, data}
--
-- Processes are named anew whenever they may have been taken for dead; FORMERS are the names that one has had, apart by
-- blanks, of which something may be left.

local KEY, CHANNEL = ARGV[1], ARGV[2]
local pack, unpack_one = cmsgpack.pack, cmsgpack.unpack

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function lost(process)
  if not redis.call('ZSCORE', KEY .. 'leases', process) then
    return redis.error_reply('LEASELOST this process is not known')
  end
end

local function tell(app, channel, message)
  redis.call('PUBLISH', CHANNEL .. 'event:' .. app .. ':' .. channel, pack(message))
end

-- An answer that is in order with all that is published.
local function answer(inbox, request, rest)
  redis.call('PUBLISH', CHANNEL .. 'inbox:' .. inbox, request .. ' ' .. rest)
end

-- A process has n subscriptions of a channel, in place of what its former names had. Gives 1 if that occupies the
-- channel, -1 if it vacates it, else 0; and how many there are everywhere.
local function count(process, formers, app, channel, n)
  local field, counts, totals = app .. '\n' .. channel, KEY .. 'counts:' .. process, KEY .. 'totals:' .. app
  local change = n - (redis.call('HGET', counts, field) or 0)
  if n > 0 then redis.call('HSET', counts, field, n) else redis.call('HDEL', counts, field) end
  for former in formers:gmatch('%S+') do
    change = change - (redis.call('HGET', KEY .. 'counts:' .. former, field) or 0)
    redis.call('HDEL', KEY .. 'counts:' .. former, field)
  end
  local total = redis.call('HINCRBY', totals, channel, change)
  if total <= 0 then redis.call('HDEL', totals, channel) end
  local before, edge = total - change, 0
  if before <= 0 and total > 0 then edge = 1 elseif before > 0 and total <= 0 then edge = -1 end
  local user = channel:match('^#server%-to%-user%-(.*)$')
  if user and edge ~= 0 then
    redis.call('PUBLISH', CHANNEL .. 'user:' .. app .. ':' .. user, edge == 1 and '1' or '0')
  end
  return edge, total
end

-- Takes a connection out: {user, info, data} if it was the last of its user.
local function leave(app, channel, socket)
  local key = KEY .. 'members:' .. app .. ':' .. channel
  local found = redis.call('HGET', key, 'c' .. socket)
  if not found then return nil end
  local connection = unpack_one(found)
  local name, owner, data = connection[1], connection[2], connection[4]
  redis.call('HDEL', key, 'c' .. socket)
  redis.call('SREM', KEY .. 'joined:' .. owner, app .. '\n' .. channel .. '\n' .. socket)
  local user = unpack_one(redis.call('HGET', key, 'u' .. name))
  local newest = user[#user]
  for place = 2, #user do
    if user[place] == socket then
      table.remove(user, place)
      break
    end
  end
  if #user > 1 then
    redis.call('HSET', key, 'u' .. name, pack(user))
    if newest == socket then
      local shown = unpack_one(redis.call('HGET', key, 'c' .. user[#user]))
      tell(app, channel, {'moved/1', name, shown[4], user[#user], shown[3]})
    end
    return nil
  end
  redis.call('HDEL', key, 'u' .. name)
  if redis.call('HINCRBY', key, '*', -1) <= 0 then redis.call('DEL', key) end
  tell(app, channel, {'removed/1', name})
  return {name, user[1], data}
end

-- Takes a connection in: 1 if it is the first of its user, 0 if not, -1 if there are limit users without it.
local function join(process, app, channel, socket, name, info, data, limit)
  local key = KEY .. 'members:' .. app .. ':' .. channel
  local entry = app .. '\n' .. channel .. '\n' .. socket
  local found = redis.call('HGET', key, 'c' .. socket)
  if found and unpack_one(found)[1] ~= name then
    leave(app, channel, socket)
    found = nil
  end
  local known = redis.call('HGET', key, 'u' .. name)
  if not known and limit > 0 and tonumber(redis.call('HGET', key, '*') or 0) >= limit then return -1 end
  local number = redis.call('HINCRBY', key, '#', 1)
  local user = known and unpack_one(known) or {info}
  if found then
    redis.call('SREM', KEY .. 'joined:' .. unpack_one(found)[2], entry)
    for place = 2, #user do
      if user[place] == socket then
        table.remove(user, place)
        break
      end
    end
  end
  user[#user + 1] = socket
  redis.call('HSET', key, 'u' .. name, pack(user))
  redis.call('HSET', key, 'c' .. socket, pack({name, process, number, data}))
  redis.call('SADD', KEY .. 'joined:' .. process, entry)
  if known then
    tell(app, channel, {'moved/1', name, data, socket, number})
    return 0
  end
  redis.call('HINCRBY', key, '*', 1)
  tell(app, channel, {'added/1', name, info, data, socket, number})
  return 1
end

-- All members of a channel: user, info, data and socket of its newest connection, and that one's number.
local function list(app, channel)
  local key = KEY .. 'members:' .. app .. ':' .. channel
  local members, connections, users = {}, {}, {}
  local all = redis.call('HGETALL', key)
  for place = 1, #all, 2 do
    local kind = all[place]:sub(1, 1)
    if kind == 'c' then connections[all[place]:sub(2)] = all[place + 1] end
    if kind == 'u' then users[all[place]:sub(2)] = unpack_one(all[place + 1]) end
  end
  for name, user in pairs(users) do
    local socket = user[#user]
    local connection = unpack_one(connections[socket])
    members[#members + 1] = {name, user[1], connection[4], socket, connection[3]}
  end
  return pack(members)
end

local function post(letters)
  for _, letter in ipairs(letters) do
    redis.call('SADD', KEY .. 'hooks:receivers', letter[1])
    local stream = KEY .. 'hooks:letters:' .. letter[1]
    redis.call('XADD', stream, '*', 'id', letter[2], 'event', letter[3], 'made', letter[4])
  end
end
