-- Drops what is left of a journal once its blocks and tiles are gone; the lease goes last, with it.
-- KEYS  1 lease, 2 state, 3 slices, 4 layouts, 5 windows, 6 blocks, then entries of every slice
-- ARGV  1 owner, 2 fence
-- Returns 1, or -1: lease lost.
-- Repeating: -1, the lease is gone.
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
  return -1
end
for i = 2, #KEYS do
  redis.call('UNLINK', KEYS[i])
end
redis.call('UNLINK', KEYS[1])
return 1
