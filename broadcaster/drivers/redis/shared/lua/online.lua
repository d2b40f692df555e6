-- Who is online, in the inbox. ARGV: the inbox, the request; app, then the users.
local online = {}
for place = 6, #ARGV do
  if redis.call('HEXISTS', KEY .. 'totals:' .. ARGV[5], '#server-to-user-' .. ARGV[place]) == 1 then
    online[#online + 1] = ARGV[place]
  end
end
answer(ARGV[3], ARGV[4], pack(online))
