-- Gives a lease back; the fence stays, so that a later holder gets a higher one.
-- KEYS  1 lease
-- ARGV  1 owner, 2 fence
-- Returns 1 when it was held, else 0.
-- Repeating: returns 0.
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], 'owner', '', 'until', 0)
return 1
