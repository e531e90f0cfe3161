-- The atomic write: entries, layouts, position, cursor and ledger, or nothing.
-- KEYS  1 state, 2 lease, 3 slices, 4 layouts, 5 entries of the caller's slice, 6 entries of the next one
-- ARGV  1 owner, 2 fence, 3 expected position ('' where the journal must not be there), 4 new position,
--       5 cursor, 6 ledger (JSON), 7 the slice that KEYS[5] is, 8 bytes and 9 age (ms) at which a slice is full,
--       10 trimmed position of a new journal, 11 '1' where the caller waits for replicas (it learns of what
--       this connection wrote, so a repeat writes something, too), 12 check of position, cursor and ledger,
--       13 time to live of the lease (ms), which is renewed with what is applied;
--       then for each entry: id, field among the layouts ('' for entries of another kind), group, bytes
-- Returns {'applied'}, {'already_applied'}, {'absent'}, {'fenced'},
--         {'behind', position, trimmed, cursor, ledger, entry bytes, check}, {'slice', the current slice}: call again,
--         or {'damaged', field}: what the state says of slices cannot be.
-- Repeating: {'already_applied'}.
local held = redis.call('HMGET', KEYS[2], 'owner', 'fence')
-- Not cursor and ledger, which can be long: they are only wanted where the caller is behind.
local state = redis.call('HMGET', KEYS[1], 'position', 'slice', 'sliceBytes', 'sliceSince', 'entryBytes')
local position = state[1]
if not held[1] and not position and ARGV[3] ~= '' then
  return {'absent'}
end
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
  return {'fenced'}
end
if not position then
  if ARGV[3] ~= '' then
    return {'absent'}
  end
elseif position ~= ARGV[3] then
  if ARGV[11] == '1' then
    redis.call('HSET', KEYS[1], 'position', position)
  end
  if position == ARGV[4] then
    return {'already_applied'}
  end
  local found = redis.call('HMGET', KEYS[1], 'position', 'trimmed', 'cursor', 'ledger', 'entryBytes', 'check')
  return {'behind', unpack(found)}
end

local slice = tonumber(state[2] or '1')
local bytes = tonumber(state[3] or '0')
local since = tonumber(state[4] or '0')
local entryBytes = tonumber(state[5] or '0')
local isCount = function(value, least)
  return value and value >= least and value < 2 ^ 53 and value % 1 == 0
end
if not isCount(slice, 1) then
  return {'damaged', 'slice'}
elseif not isCount(bytes, 0) or not isCount(since, 0) then
  return {'damaged', 'sliceBytes or sliceSince'}
elseif not isCount(entryBytes, 0) then
  return {'damaged', 'entryBytes'}
end
if slice ~= tonumber(ARGV[7]) then
  return {'slice', slice}
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
-- The newest slice has as many bytes as its record says, and nothing comes after it: readers would pass entries over.
local known = redis.call('HMGET', KEYS[3], slice, slice + 1)
local begun, counted = string.match(known[1] or '', '^(%d+%-%d+) (%d+)$')
if known[2] or ((known[1] or bytes > 0) and tonumber(counted) ~= bytes) then
  return {'damaged', 'slice'}
end
local entries = KEYS[5]
if bytes > 0 and (bytes >= tonumber(ARGV[8]) or now - since >= tonumber(ARGV[9])) then
  slice, bytes, entries, begun = slice + 1, 0, KEYS[6], nil
end
local first = #ARGV >= 14 and ARGV[14] or false
local added = 0
for i = 14, #ARGV, 4 do
  local record = ARGV[i + 3]
  added = added + #record
  if ARGV[i + 1] == '' then
    redis.call('XADD', entries, ARGV[i], 'e', record)
  else
    redis.call('HSET', KEYS[4], ARGV[i + 1], record)
    redis.call('XADD', entries, ARGV[i], 'l', ARGV[i + 2])
  end
end
if first then
  if bytes == 0 then
    since = now
  end
  bytes = bytes + added
  redis.call('HSET', KEYS[3], slice, (begun or first) .. ' ' .. string.format('%.0f', bytes))
end
redis.call('HSET', KEYS[1], 'position', ARGV[4], 'cursor', ARGV[5], 'ledger', ARGV[6], 'check', ARGV[12],
  'entryBytes', string.format('%.0f', entryBytes + added),
  'slice', slice, 'sliceBytes', string.format('%.0f', bytes),
  'sliceSince', string.format('%.0f', since))
redis.call('HSET', KEYS[2], 'until', string.format('%.0f', now + tonumber(ARGV[13])))
if not position then
  redis.call('HSET', KEYS[1], 'trimmed', ARGV[10])
end
return {'applied'}
