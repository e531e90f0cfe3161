-- Drops the oldest entries of one slice, or all of it.
-- KEYS  1 state, 2 lease, 3 slices, 4 entries of the slice, 5 extents of the window of a tile, where one is named
-- ARGV  1 owner, 2 fence, 3 position up to which is dropped, with its check, 4 the first id that stays ('' drops the slice),
--       5 the slice, 6 field of the tile written last, behind which is cut
-- Returns the bytes freed (for a part of a slice in proportion to its entries), -1: lease lost, or -2: what is said
--         of slices is damaged: one that would go whole has later entries, or its bytes are no number, or -3: the tile is
--         not there: the server fell back, and tiles are gone of which entries were the only copy.
--         0 and nothing done: no further than was dropped before.
-- Repeating: 0.
local held = redis.call('HMGET', KEYS[2], 'owner', 'fence')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
  return -1
end
if KEYS[5] and not redis.call('HGET', KEYS[5], ARGV[6]) then
  return -3
end
local state = redis.call('HMGET', KEYS[1], 'slice', 'entryBytes', 'sliceBytes', 'trimmed')
local cutEpoch, cutSequence = string.match(state[4] or '', '^(%d+)%-(%d+)')
local epoch, sequence = string.match(ARGV[3], '^(%d+)%-(%d+)')
if cutEpoch then
  local further = tonumber(epoch) - tonumber(cutEpoch)
  if further == 0 then
    further = tonumber(sequence) - tonumber(cutSequence)
  end
  -- Readers go on from there: what is gone must not look as if it had never been.
  if further <= 0 then
    return 0
  end
end
local entry = redis.call('HGET', KEYS[3], ARGV[5])
if not entry then
  return 0
end
local first, bytes = string.match(entry, '^(%S+) (%d+)$')
if not bytes then
  return -2
end
bytes = tonumber(bytes)
local freed
if ARGV[4] == '' then
  local limit = string.match(ARGV[3], '^%S+')
  if #redis.call('XRANGE', KEYS[4], '(' .. limit, '+', 'COUNT', 1) > 0 then
    return -2
  end
end
if ARGV[4] == '' and state[1] ~= ARGV[5] then
  redis.call('UNLINK', KEYS[4])
  redis.call('HDEL', KEYS[3], ARGV[5])
  freed = bytes
else
  local before = redis.call('XLEN', KEYS[4])
  local dropped = before
  if ARGV[4] == '' then
    redis.call('UNLINK', KEYS[4])
  else
    dropped = redis.call('XTRIM', KEYS[4], 'MINID', '=', ARGV[4])
  end
  freed = before == 0 and 0 or math.floor(bytes * dropped / before)
  redis.call('HSET', KEYS[3], ARGV[5], first .. ' ' .. string.format('%.0f', bytes - freed))
  if state[1] == ARGV[5] then
    redis.call('HSET', KEYS[1], 'sliceBytes', string.format('%.0f', bytes - freed))
  end
end
redis.call('HSET', KEYS[1], 'trimmed', ARGV[3], 'entryBytes',
  string.format('%.0f', math.max(0, (tonumber(state[2] or '0') or 0) - freed)))
return freed
