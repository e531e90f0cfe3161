-- Makes a block seen and what it replaces not seen any more.
-- KEYS  1 lease, 2 blocks, 3 windows, then for each window that tiles are replaced in: its tiles, its extents
-- ARGV  1 owner, 2 fence, 3 number of the block, 4 its record (JSON) with its check, 5 its chunks, 6 how many blocks it
--       replaces, then for each: number, chunks; then for each window: its number, how many tiles are replaced, and their
--       fields
-- Returns 1, -1: lease lost, or -2: the block was not begun, or has not all its chunks: the server fell back.
-- Repeating: changes nothing.
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
  return -1
end
if redis.call('HGET', KEYS[2], ARGV[3]) then
  return 1
end
if redis.call('HGET', KEYS[2], 'building') ~= ARGV[3] .. ' ' .. ARGV[5] then
  return -2
end
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
redis.call('HDEL', KEYS[2], 'building')
local at = 7
for _ = 1, tonumber(ARGV[6]) do
  redis.call('HDEL', KEYS[2], ARGV[at])
  redis.call('HSET', KEYS[2], 'gone:' .. ARGV[at], ARGV[at + 1] .. ' ' .. now)
  at = at + 2
end
local key = 4
while at <= #ARGV do
  local window, count = ARGV[at], tonumber(ARGV[at + 1])
  at = at + 2
  -- Nearly always a window goes whole: then it costs no time, however many tiles it has.
  if redis.call('HLEN', KEYS[key + 1]) == count then
    redis.call('UNLINK', KEYS[key], KEYS[key + 1])
    redis.call('SREM', KEYS[3], window)
  else
    for i = at, at + count - 1 do
      redis.call('HDEL', KEYS[key], ARGV[i])
      redis.call('HDEL', KEYS[key + 1], ARGV[i])
    end
  end
  at = at + count
  key = key + 2
end
return 1
