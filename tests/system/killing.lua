-- Kills what works, at random moments, so many times as is asked for: several of it run at once, so that one is in the
-- middle of its work while the next one starts.
--
--   local killing = require "killing"
--   killing.run { times = 100, at_once = 3, span = 0.3, start = function() return h.spawn { … } end, feed = function() … end }
--
-- The moments come from a seed that is said on standard error, which is shown when a test fails; TEST_SEED repeats it.
local h = require "harness"

local killing = {}

local LIMIT_SECONDS = 150

--- Ends when `times` of them were killed while they ran; fails when that takes too long. One lives up to `span` seconds, or
--- ends before. feed() is called now and then, to put in more work.
---@return table  killed, ended (by themselves)
function killing.run(o)
  local seed = math.tointeger(tonumber(os.getenv "TEST_SEED")) or (h.native.getpid() << 20 ~ os.time())
  math.randomseed(seed)
  io.stderr:write(("killing: TEST_SEED=%d\n"):format(seed))
  local running, count = {}, { killed = 0, ended = 0 }
  local stop, fed = h.native.now() + LIMIT_SECONDS * h.slow, -math.huge
  while count.killed < o.times do
    local now = h.native.now()
    if now > stop then error(("killed only %d times in %d s"):format(count.killed, LIMIT_SECONDS), 2) end
    if now - fed > 0.5 then
      o.feed()
      fed = now
    end
    while #running < o.at_once do
      running[#running + 1] = { p = o.start(), till = h.native.now() + math.random() * o.span }
    end
    -- the one whose time is over first
    local first = 1
    for i, r in ipairs(running) do if r.till < running[first].till then first = i end end
    local r = table.remove(running, first)
    h.wait_for(function() return h.native.now() >= r.till or r.p:ended() end)
    if r.p:ended() then
      count.ended = count.ended + 1
    else
      -- the one that was started, or one below it that works
      local pids = { r.p.pid, table.unpack(r.p:children()) }
      h.native.kill(pids[math.random(#pids)], h.signals.KILL)
      r.p:wait(10)
      count.killed = count.killed + 1
    end
    r.p:close()
  end
  for _, r in ipairs(running) do r.p:close() end
  return count
end

return killing
