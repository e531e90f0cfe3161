-- Stores tiles and their extents, by window.
-- KEYS  1 lease, 2 windows, then for each window: its tiles, its extents
-- ARGV  1 owner, 2 fence, then for each tile: place of its window among the keys (from 0), the window's number,
--       field, extent, bytes
-- Returns 1, or -1: lease lost.
-- Repeating: replaces the tiles.
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
  return -1
end
-- The journal is cut behind tiles, so they make room: taking something away first lets the rest through where Redis is
-- out of memory.
redis.call('HDEL', KEYS[4 + 2 * tonumber(ARGV[3])], ARGV[5])
for i = 3, #ARGV, 5 do
  local key = 3 + 2 * tonumber(ARGV[i])
  redis.call('SADD', KEYS[2], ARGV[i + 1])
  redis.call('HSET', KEYS[key], ARGV[i + 2], ARGV[i + 4])
  redis.call('HSET', KEYS[key + 1], ARGV[i + 2], ARGV[i + 3])
end
return 1
