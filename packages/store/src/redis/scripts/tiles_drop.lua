-- Drops tiles.
-- KEYS  1 lease, 2 tiles, then the key of each tile
-- ARGV  1 owner, 2 fence, then the field of each tile
-- Returns 1, or -1: lease lost.
-- Repeating: changes nothing.
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
  return -1
end
for i = 3, #KEYS do
  redis.call('UNLINK', KEYS[i])
  redis.call('HDEL', KEYS[2], ARGV[i])
end
return 1
