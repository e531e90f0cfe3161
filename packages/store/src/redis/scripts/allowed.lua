-- Says which commands the user that runs this may not run: a script that is refused one in its middle has
-- written the half of what it should.
-- KEYS  none (it runs on any node of a cluster)
-- ARGV  1 a key as the store names them, then commands
-- Returns those that are forbidden; nothing before Redis 7, which cannot tell.
-- Repeating: changes nothing.
local forbidden = {}
if redis.acl_check_cmd then
  for i = 2, #ARGV do
    -- Some commands take any number of keys.
    if not redis.acl_check_cmd(ARGV[i], ARGV[1], ARGV[1], ARGV[1], ARGV[1]) then
      forbidden[#forbidden + 1] = ARGV[i]
    end
  end
end
return forbidden
