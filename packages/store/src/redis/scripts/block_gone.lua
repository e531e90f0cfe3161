-- Names blocks that were replaced some time ago, by the server's clock.
-- KEYS  1 lease, 2 blocks
-- ARGV  1 owner, 2 fence, 3 how long ago at least (ms)
-- Returns a list: field of `blocks`, its chunks, field, chunks, … ; or -1: lease lost. Chunks are '' of a field that is
--         damaged: it says no number, a time that is not yet, or names a block that is there.
-- Repeating: the same; changes nothing.
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
  return -1
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local limit = now - tonumber(ARGV[3])
local found = {}
local fields = redis.call('HGETALL', KEYS[2])
local isThere = {}
for i = 1, #fields, 2 do
  isThere[fields[i]] = true
end
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, 5) == 'gone:' then
    local chunks, since = string.match(fields[i + 1], '^(%d+) (%d+)$')
    local number = string.sub(fields[i], 6)
    local isDamaged = not since or tonumber(since) > now + 86400000
      or not string.match(number, '^%d+$') or isThere[number]
    if isDamaged or tonumber(since) <= limit then
      found[#found + 1] = fields[i]
      found[#found + 1] = isDamaged and '' or chunks
    end
  end
end
return found
