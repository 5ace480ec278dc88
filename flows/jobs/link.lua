-- A job's link to its store: opened when it is first needed, dropped when anything fails on it, and the work then done
-- again where the failure can pass.
local store = require "jobs.store"

local link = {}

local DELAY_MAX_SECONDS = 30

--- Sleeps, but not on when a stop is asked for.
function link.pause(seconds)
  local till = clock.monotonic() + seconds
  while not signal.stopping() and clock.monotonic() < till do
    timer.sleep(math.max(0, math.min(0.1, till - clock.monotonic())))
  end
end

local Link = {}
Link.__index = Link

---@param o table  who (for messages), open (function that gives the store), max_retries
function link.new(o)
  return setmetatable({ who = o.who, open = o.open, max_retries = o.max_retries }, Link)
end

function Link:close()
  if self.store then pcall(self.store.close, self.store) end
  self.store = nil
end

--- What work(store) gives; nil when a stop is asked for after a failure. Raises what does not pass, or failed too often.
---@param fields table  told with each failure
---@param work fun(store: table): any
function Link:run(fields, work)
  local tries = 0
  while true do
    local ok, result = pcall(function()
      self.store = self.store or self.open()
      return work(self.store)
    end)
    if ok then return result end
    -- the connection is in an unknown state, and with it go its locks
    self:close()
    if signal.stopping() then return nil end
    if not store.passes(result) or tries >= self.max_retries then error(result, 0) end
    tries = tries + 1
    local delay = math.min(2 ^ (tries - 1), DELAY_MAX_SECONDS)
    local told = { error = tostring(result), attempt = tries, max_retries = self.max_retries, delay_s = delay }
    for key, value in pairs(fields) do told[key] = value end
    log.warning(self.who .. ": the database failed; trying again", told)
    link.pause(delay)
  end
end

return link
