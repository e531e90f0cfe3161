-- Names blocks that were replaced some time ago, by the server's clock.
-- KEYS  1 lease, 2 blocks
-- ARGV  1 owner, 2 fence, 3 how long ago at least (ms)
-- Returns a list: field of `blocks`, its chunks, field, chunks, … ; or -1: lease lost.
-- Repeating: the same; changes nothing.
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then
  return -1
end
local t = redis.call('TIME')
local limit = t[1] * 1000 + math.floor(t[2] / 1000) - tonumber(ARGV[3])
local found = {}
local fields = redis.call('HGETALL', KEYS[2])
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, 5) == 'gone:' then
    local chunks, since = string.match(fields[i + 1], '^(%d+) (%d+)$')
    if tonumber(since) <= limit then
      found[#found + 1] = fields[i]
      found[#found + 1] = chunks
    end
  end
end
return found
