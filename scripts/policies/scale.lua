-- How many instances of a process run, by what waits for them.
--
--   local scale = require "policies.scale"
--   worker = { command = { … }, instances = 2, scale = scale.by_backlog { max = 8, per_instance = 100, backlog = rows_that_wait } }
local check = require "policies.check"

local scale = {}

--- So many instances that each has at most `per_instance` of what waits, within min (1) and max. The function gives how much that is;
--- or nil and a reason, then the number stays.
---@param o table  backlog (a function), per_instance, max; min, step, interval, timeout, cooldown, down_cooldown
function scale.by_backlog(o)
  o = check.options("scale.by_backlog", o, {
    backlog = "!fn", per_instance = "!number", max = "!count", min = "count", step = "count", interval = "seconds", timeout = "seconds",
    cooldown = "seconds", down_cooldown = "seconds",
  })
  if o.per_instance <= 0 then error("scale.by_backlog.per_instance: expected a number above 0", 2) end
  return {
    min = o.min, max = o.max, step = o.step, interval = o.interval, timeout = o.timeout, cooldown = o.cooldown,
    down_cooldown = o.down_cooldown,
    measure = function(about)
      local waiting, err = o.backlog(about)
      if waiting == nil then return nil, err end
      return waiting / o.per_instance
    end,
  }
end

return check.module("scale", scale)
