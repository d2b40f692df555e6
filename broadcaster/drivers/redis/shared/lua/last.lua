-- The last event of a cache channel, in the inbox: its milliseconds, a blank, what was published. ARGV: the inbox, the
-- request; the key.
local payload = redis.call('GET', ARGV[5])
answer(ARGV[3], ARGV[4], (payload and redis.call('PTTL', ARGV[5]) or 0) .. ' ' .. (payload or ''))
