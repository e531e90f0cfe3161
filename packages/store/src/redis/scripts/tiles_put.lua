-- Stores tiles and their extents.
-- KEYS  1 lease, 2 tiles, then a key for each tile
-- ARGV  1 owner, 2 fence, then for each tile: field, extent, bytes
-- Returns 1, or -1: lease lost.
-- Repeating: replaces the tiles.
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
  return -1
end
for i = 3, #KEYS do
  local at = 3 + (i - 3) * 3
  redis.call('SET', KEYS[i], ARGV[at + 2])
  redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1])
end
return 1
