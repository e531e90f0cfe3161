-- Drops layouts of groups whose frames were cut off.
-- KEYS  1 lease, 2 layouts, 3 state
-- ARGV  1 owner, 2 fence, 3 position up to which the journal is cut at least, then fields
-- Returns 1, -1: lease lost, or -2: it is not cut so far; the server fell back, and has frames that need them.
-- Repeating: changes nothing.
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
  return -1
end
local cutEpoch, cutSequence = string.match(redis.call('HGET', KEYS[3], 'trimmed') or '', '^(%d+)%-(%d+)')
local epoch, sequence = string.match(ARGV[3], '^(%d+)%-(%d+)$')
local further = tonumber(epoch) - (tonumber(cutEpoch) or 0)
if further == 0 then
  further = tonumber(sequence) - (tonumber(cutSequence) or 0)
end
if further > 0 then
  return -2
end
for i = 4, #ARGV do
  redis.call('HDEL', KEYS[2], ARGV[i])
end
return 1
