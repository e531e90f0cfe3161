-- Drops layouts.
-- KEYS  1 lease, 2 layouts
-- ARGV  1 owner, 2 fence, then fields
-- Returns 1, or -1: lease lost.
-- Repeating: changes nothing.
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
  return -1
end
for i = 3, #ARGV do
  redis.call('HDEL', KEYS[2], ARGV[i])
end
return 1
