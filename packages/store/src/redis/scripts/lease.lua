-- Takes or renews the lease on a journal.
-- KEYS  1 lease (hash: owner, fence, until)
-- ARGV  1 owner, 2 time to live (ms)
-- Returns {1, fence, 1 where it was not the caller's before} when granted, else {0, owner that holds it, ms until it
--         expires}; {-1} where the record is damaged: its fence would not be above earlier ones, or it would be held for
--         longer than a day.
-- Repeating: by the same owner renews, the fence stays; it goes up when the lease changes hands.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence', 'until')
local owner, fence, expires = held[1], tonumber(held[2] or '0'), tonumber(held[3] or '0')
local isWhole = fence and fence >= 0 and fence < 2 ^ 52 and fence % 1 == 0
if not isWhole or not expires or expires > now + 86400000 or (owner and fence < 1) then
  return {-1}
end
if owner and owner ~= '' and owner ~= ARGV[1] and expires > now then
  return {0, owner, expires - now}
end
local isNew = owner ~= ARGV[1]
if isNew then
  fence = fence + 1
elseif held[3] then
  -- Taking something away first lets the rest through where Redis is out of memory: the holder must
  -- be able to make room.
  redis.call('HDEL', KEYS[1], 'until')
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'fence', string.format('%.0f', fence), 'until',
  string.format('%.0f', now + tonumber(ARGV[2])))
return {1, fence, isNew and 1 or 0}
