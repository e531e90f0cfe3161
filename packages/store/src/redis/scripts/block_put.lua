-- Writes chunks of a block that nobody sees yet, and notes that it is being built.
-- KEYS  1 lease, 2 blocks, then a key for each chunk
-- ARGV  1 owner, 2 fence, 3 number of the block, 4 chunks it has after this call, then the chunks
-- Returns 1, -1: lease lost, or -2: the block is finished, another one is being built, or chunks before these are not
--         there: the server fell back.
-- Repeating: writes the same again.
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
  return -1
end
local building = redis.call('HGET', KEYS[2], 'building')
local number, chunks = string.match(building or '', '^(%d+) (%d+)$')
if building and number ~= ARGV[3] then
  return -2
end
local there = tonumber(chunks or '0')
if tonumber(ARGV[4]) - (#KEYS - 2) > there then
  return -2
end
local known = tonumber(redis.call('HGET', KEYS[2], 'next') or '1') or 1
if not building and tonumber(ARGV[3]) < known then
  return -2
end
redis.call('HSET', KEYS[2], 'building', ARGV[3] .. ' ' .. string.format('%.0f', math.max(there, tonumber(ARGV[4]))),
  'next', string.format('%.0f', tonumber(ARGV[3]) + 1))
for i = 3, #KEYS do
  redis.call('SET', KEYS[i], ARGV[i + 2])
end
return 1
