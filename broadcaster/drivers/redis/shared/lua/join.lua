-- A connection joins. ARGV: the process, its inbox, the request; app, channel, socket; user, info, data; the limit;
-- whether all members are to be listed. Answers in the inbox, and gives what `join` does.
local gone = lost(ARGV[3])
if gone then return gone end
local app, channel = ARGV[6], ARGV[7]
local joined = join(ARGV[3], app, channel, ARGV[8], ARGV[9], ARGV[10], ARGV[11], tonumber(ARGV[12]))
if joined < 0 then
  answer(ARGV[4], ARGV[5], 'full')
elseif ARGV[13] == '1' then
  answer(ARGV[4], ARGV[5], 'list' .. list(app, channel))
else
  answer(ARGV[4], ARGV[5], 'here')
end
return joined
