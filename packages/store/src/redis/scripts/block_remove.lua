-- Removes chunks of a block, and its record with the last of them.
-- KEYS  1 lease, 2 blocks, then keys of chunks
-- ARGV  1 owner, 2 fence, 3 the record's field of `blocks`, 4 '1' where it goes, too
-- Returns 1, 0: there is no such record (any more), nothing was removed: the server fell back, and the block may count
--         again; or -1: lease lost.
-- Repeating: 0.
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
  return -1
end
if not redis.call('HGET', KEYS[2], ARGV[3]) then
  return 0
end
if ARGV[4] == '1' then
  redis.call('HDEL', KEYS[2], ARGV[3])
end
for i = 3, #KEYS do
  redis.call('UNLINK', KEYS[i])
end
return 1
