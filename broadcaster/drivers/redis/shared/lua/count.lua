-- How many subscriptions a process has. ARGV: its name, FORMERS, then app, channel and number of each.
-- Gives for each 1 if that occupied the channel, -1 if it vacated it, else 0.
local gone = lost(ARGV[3])
if gone then return gone end
local edges = {}
for place = 5, #ARGV, 3 do
  edges[#edges + 1] = count(ARGV[3], ARGV[4], ARGV[place], ARGV[place + 1], tonumber(ARGV[place + 2]))
end
return edges
