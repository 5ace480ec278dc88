-- What came of a simulation, to be asked by a spec: the state at a time, events, the end.
local times = require "testing.times"

---@class testing.event
---@field at number seconds from the begin
---@field event string its name, "state" for a change of the container's state
---@field level string
---@field details table

---@class testing.moment
---@field at number seconds
---@field state string the container's: "RUNNING", …
---@field processes table<string, string> by name, or "worker/1" where it has several: "up", "down", "backoff", …
---@field checks table<string, string> "healthy", "unhealthy", "degraded", "unknown"
---@field dependencies table<string, string> "good", "bad"
---@field restarts integer so far
---@field remedies integer runs that have begun so far

---@class testing.run
---@field state string the container's at the end
---@field health string "healthy", "degraded", "unhealthy" at the end
---@field exit_code integer? where tend has ended
---@field lasted number seconds
---@field restarts integer
---@field remedies integer
---@field text string the time line, for people
---@field timeline testing.event[]
local Run = {}
Run.__index = Run
Run.__name = "run"
Run.__tostring = function(self) return self.text end

local function state_of(row, at)
  local state
  for _, change in ipairs(row.changes) do
    if change.at_seconds > at then break end
    state = change.state
  end
  return state
end

local function matches(event, name, where)
  if event.event ~= name then return false end
  if type(where) == "function" then return where(event.details, event) and true or false end
  for key, value in pairs(where or {}) do
    if event.details[key] ~= value then return false end
  end
  return true
end

--- How everything stood at a time; changes at that very time have happened.
---@param time number|string seconds, or "1d 2h", "90s"
---@return testing.moment
function Run:at(time)
  local at = times.seconds(time, 2)
  local moment = { at = at, processes = {}, checks = {}, dependencies = {}, restarts = 0, remedies = 0 }
  for i, row in ipairs(self.rows) do
    local kind, name = row.name:match "^(%a+) (.*)$"
    if i == 1 then
      moment.state = state_of(row, at)
    elseif kind then
      moment[kind == "check" and "checks" or "dependencies"][name] = state_of(row, at)
    else
      moment.processes[row.name] = state_of(row, at)
    end
  end
  for _, e in ipairs(self.timeline) do
    if e.at > at then break end
    if e.event == "restart_initiated" then moment.restarts = moment.restarts + 1 end
    if e.event == "remediation_started" then moment.remedies = moment.remedies + 1 end
  end
  return moment
end

--- The events of a name, in order.
---@param name string
---@param where? table|fun(details: table, event: testing.event): boolean details that it must have
---@return testing.event[]
function Run:events(name, where)
  local list = {}
  for _, e in ipairs(self.timeline) do
    if matches(e, name, where) then list[#list + 1] = e end
  end
  return list
end

--- How many events of a name there are.
function Run:count(name, where)
  return #self:events(name, where)
end

--- The first event of a name; nil when there is none.
---@return testing.event?
function Run:first(name, where)
  return self:events(name, where)[1]
end

--- The last one.
---@return testing.event?
function Run:last(name, where)
  local list = self:events(name, where)
  return list[#list]
end

--- How long something was in a state, in seconds: "container", a process, "check NAME", "dependency NAME".
---@param name string
---@param state string
---@return number
function Run:time_in(name, state)
  for _, row in ipairs(self.rows) do
    if row.name == name then
      local sum = 0
      for i, change in ipairs(row.changes) do
        local till = row.changes[i + 1] and row.changes[i + 1].at_seconds or self.lasted
        if change.state == state then sum = sum + till - change.at_seconds end
      end
      return sum
    end
  end
  error(("run:time_in: there is no %s here"):format(tostring(name)), 2)
end

local run = {}

---@param answer table what `tend simulate --json` printed
---@param text string the same for people
---@return testing.run
function run.new(answer, text)
  local timeline = {}
  for i, e in ipairs(answer.timeline) do
    timeline[i] = { at = e.at_seconds, event = e.event, level = e.level, details = e.details }
  end
  return setmetatable({
    state = answer["end"].state, health = answer["end"].health_status, exit_code = answer["end"].exit_code,
    lasted = answer["end"].at_seconds, restarts = answer["end"].restarts, remedies = answer["end"].remedies,
    timeline = timeline, rows = answer.rows, text = text,
  }, Run)
end

return run
