-- Removes chunks of blocks, and records of those that have none left.
-- KEYS  1 lease, 2 blocks, then keys of chunks
-- ARGV  1 owner, 2 fence, then fields of `blocks`
-- Returns 1, or -1: lease lost.
-- Repeating: changes nothing.
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
  return -1
end
for i = 3, #ARGV do
  redis.call('HDEL', KEYS[2], ARGV[i])
end
for i = 3, #KEYS do
  redis.call('UNLINK', KEYS[i])
end
return 1
