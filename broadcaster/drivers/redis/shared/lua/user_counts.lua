-- How many users channels have. ARGV: app, then the channels.
local counts = {}
for place = 4, #ARGV do
  counts[#counts + 1] = tonumber(redis.call('HGET', KEY .. 'members:' .. ARGV[3] .. ':' .. ARGV[place], '*') or 0)
end
return counts
