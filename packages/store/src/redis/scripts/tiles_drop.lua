-- Drops tiles.
-- KEYS  1 lease, 2 windows, then for each window: its tiles, its extents
-- ARGV  1 owner, 2 fence, then for each tile: place of its window among the keys (from 0), the window's number, field
-- Returns 1, or -1: lease lost.
-- Repeating: changes nothing.
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
  return -1
end
for i = 3, #ARGV, 3 do
  local key = 3 + 2 * tonumber(ARGV[i])
  redis.call('HDEL', KEYS[key], ARGV[i + 2])
  redis.call('HDEL', KEYS[key + 1], ARGV[i + 2])
  if redis.call('EXISTS', KEYS[key + 1]) == 0 then
    redis.call('SREM', KEYS[2], ARGV[i + 1])
  end
end
return 1
