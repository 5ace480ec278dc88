-- A flow whose functions a spec calls, one at a time, in a world of the spec's own.
local program = require "testing.program"
local times = require "testing.times"

---@class testing.flow
---@field name string
---@field table table what the flow file returned
---@field world testing.world
local Flow = {}
Flow.__index = Flow

local STATUS = { ok = true, warn = true, fail = true, unknown = true }

local function find(list, name)
  for i, entry in ipairs(list or {}) do
    if entry == name or i == name or type(entry) == "table" and entry.name == name then return entry end
  end
end

local function without_false(list)
  local out = {}
  local most = 0
  for i in pairs(list or {}) do if math.type(i) == "integer" then most = math.max(most, i) end end
  for i = 1, most do if list[i] then out[#out + 1] = list[i] end end
  return out
end

local function names(...)
  local out = {}
  for _, list in ipairs { ... } do
    for _, entry in ipairs(list) do out[#out + 1] = type(entry) == "table" and entry.name or "a function" end
  end
  return table.concat(out, ", ")
end

local function seconds(value, default)
  return value and times.seconds(value) or default
end

-- What a check's function gave, in the words of docs/flow-file.md.
local function verdict(ok, first, second)
  if not ok then return "unknown", first end
  if first == true then return "ok", second or "" end
  if not first then
    local detail = type(second) == "table" and (second.message or second.detail) or second
    return "fail", detail or ""
  end
  if type(first) == "string" and STATUS[first] then return first, second or "" end
  if type(first) == "table" and STATUS[first.status] then return first.status, first.detail or first.reason or "", first end
  return "unknown", ("a check gives true, nil and a reason, a word or a table; this one gave %s"):format(tostring(first))
end

--- Asks a check, or a dependency, once, by its name: what tend would take its answer for, and the detail.
---@param name string|integer|table
---@return "ok"|"warn"|"fail"|"unknown" status, string detail, table? result
function Flow:check(name)
  local checks, dependencies = without_false(self.table.checks), without_false(self.table.dependencies)
  local entry = find(checks, name) or find(dependencies, name)
  if not entry then error(("flow %s has no check %s; there are %s"):format(self.name, tostring(name), names(checks, dependencies)), 2) end
  if type(entry) == "function" then entry = { check = entry } end
  local limit = seconds(entry.attempt_timeout or find(checks, name) and entry.timeout, 10)
  if entry.check then return verdict(self.world:call(entry.check, limit)) end
  return verdict(self.world:call(function() return self.world.env.probe.run(entry.kind, entry.params) end, limit))
end

local function outcome(ok, first, second)
  if not ok then return first == "timeout" and "timeout" or "failed", first end
  if first == "skip" then return "skipped", second or "" end
  if first == nil and second == nil or first == true then return "ok", "" end
  if first == nil or first == false then return "failed", type(second) == "table" and second.message or second or "" end
  return "ok", ""
end

--- Carries out a step of a remedy that is a function.
---@param remedy string
---@param step string|integer
---@param about? table over { remedy, step, check, cause, trigger }
---@return "ok"|"skipped"|"failed"|"timeout" outcome, string detail
function Flow:step(remedy, step, about)
  local remedies = without_false(self.table.remedies)
  local r = find(remedies, remedy)
  if not r then
    error(("flow %s has no remedy %s; there are %s"):format(self.name, tostring(remedy), names(remedies)), 2)
  end
  local steps, escalate = without_false(r.steps), without_false(r.escalate)
  local s = find(steps, step) or find(escalate, step)
  if not s then error(("remedy %s has no step %s; there are %s"):format(remedy, tostring(step), names(steps, escalate)), 2) end
  if type(s) == "function" then s = { run = s } end
  if not s.run then
    error(("step %s is of kind %s, tend's own: what follows from it tells tend.simulate"):format(tostring(step), tostring(s.kind)), 2)
  end
  local check = type(r.check) == "table" and r.check[1] or r.check
  local given = { remedy = r.name, step = s.name, check = check, cause = "", trigger = "check" }
  for key, value in pairs(about or {}) do given[key] = value end
  return outcome(self.world:call(s.run, seconds(s.timeout, 30), given))
end

--- Runs a cleanup handler that is a function.
---@param name string|integer
---@return "ok"|"failed"|"timeout" outcome, string detail
function Flow:cleanup(name)
  local handlers = without_false(self.table.cleanup)
  local handler = find(handlers, name)
  if not handler then error(("flow %s has no cleanup %s; there are %s"):format(self.name, tostring(name), names(handlers)), 2) end
  if type(handler) == "function" then handler = { run = handler } end
  if not handler.run then error(("cleanup %s is of kind %s, tend's own"):format(tostring(name), tostring(handler.kind)), 2) end
  return outcome(self.world:call(handler.run, seconds(handler.timeout, nil)))
end

--- Runs a command that the flow adds (control.command): what it returned; what it printed is in the log.
---@param name string
---@param args? table<string, any>
function Flow:command(name, args)
  local command = self.world.commands[name]
  if not command then error(("flow %s has no command %s"):format(self.name, tostring(name)), 2) end
  local results = table.pack(self.world:call(command.run, command.timeout, args or {}, { uid = 0, pid = 1 }))
  if not results[1] then error(results[2], 2) end
  return table.unpack(results, 2, results.n)
end

local CHOICES = {
  on_start = { "start", "fail" }, on_exit = { "restart", "restart_all", "stop", "fail", "again" },
  on_unhealthy = { "remedy", "ignore", "restart", "fail" }, on_drain = { "drain", "skip" }, on_stop = { "drain", "skip" },
  on_reload = { "accept", "refuse" },
}
local QUICK = { on_exit = true, on_unhealthy = true, on_reload = true }

local function as_list(value)
  if value == nil then return {} end
  return type(value) == "table" and not value.run and value or { value }
end

-- The hooks of a point: those of the table, those that were added, each after whom it wants to come after.
local function hooks_of(flow, point)
  local all, by_name = {}, {}
  local function add(given)
    local hook = type(given) == "function" and { run = given } or given
    local entry = { hook = hook, name = hook.name or ("%s_%d"):format(point, #all + 1), before_me = {} }
    all[#all + 1], by_name[entry.name] = entry, entry
  end
  for _, given in ipairs(as_list((flow.table.hooks or {})[point])) do add(given) end
  for _, given in ipairs(flow.world.added.hooks or {}) do if given.on == point then add(given) end end
  for _, entry in ipairs(all) do
    local function names_of(value) return type(value) == "string" and { value } or value or {} end
    for _, name in ipairs(names_of(entry.hook.after)) do if by_name[name] then entry.before_me[by_name[name]] = true end end
    for _, name in ipairs(names_of(entry.hook.before)) do if by_name[name] then by_name[name].before_me[entry] = true end end
  end
  local sorted, done = {}, {}
  local function visit(entry)
    if done[entry] then return end
    done[entry] = true
    for _, other in ipairs(all) do if entry.before_me[other] then visit(other) end end
    sorted[#sorted + 1] = entry
  end
  for _, entry in ipairs(all) do visit(entry) end
  return sorted
end

--- Calls all hooks of a point in their order: what they have chosen together, else about.default; and the last choice as a table
--- { action, reason, delay, by }. What one raises, or that it was late, is in world.errors.
---@param point string "on_start", "on_exit", …
---@param about? table what the hooks get: default and what the point has; choices where they are fewer
---@return string? decision, table? choice
function Flow:hook(point, about)
  local list = hooks_of(self, point)
  if not list[1] then error(("flow %s has no hook %s"):format(self.name, tostring(point)), 2) end
  local choices = about and about.choices or CHOICES[point] or {}
  local decision, choice = about and about.default, nil
  for _, entry in ipairs(list) do
    local given = { hook = point, name = entry.name, decision = decision, choices = choices }
    for key, value in pairs(about or {}) do given[key] = value end
    local ok, first, second = self.world:call(entry.hook.run, seconds(entry.hook.timeout, QUICK[point] and 2 or 10), given)
    local taken = type(first) == "table" and first or { action = first, reason = second }
    local known = false
    for _, word in ipairs(choices) do known = known or word == taken.action end
    if not ok or first ~= nil and not known then
      table.insert(self.world.errors, ("%s: %s"):format(entry.name, not ok and first or "no such choice: " .. tostring(taken.action)))
    elseif known then
      decision, choice = taken.action, { action = taken.action, reason = taken.reason, delay = taken.delay, by = entry.name }
    end
  end
  return decision, choice
end

--- How many instances the scale of a process asks for, rounded and bounded as tend does.
---@param process string
---@param instances? integer how many there are (the flow's number)
---@return integer instances, string? why it stays where nothing was given
function Flow:scale(process, instances)
  local p = (self.table.processes or {})[process]
  local scale = p and p.scale
  if not scale then error(("flow %s: process %s has no scale"):format(self.name, tostring(process)), 2) end
  local now, least = instances or p.instances or 1, scale.min or 1
  local most = scale.max or p.instances or 1
  local about = { process = process, instances = now, min = least, max = most }
  local ok, wanted, why = self.world:call(scale.measure, seconds(scale.timeout, 10), about)
  if not ok then return now, wanted end
  if type(wanted) ~= "number" then return now, type(why) == "table" and why.message or why end
  return math.tointeger(math.max(least, math.min(most, math.ceil(wanted)))), nil
end

local flow = {}

---@return testing.flow
function flow.load(name, world)
  local path, text = program.find(program.flows, name .. ".lua")
  if not path then error(("there is no flow %s in %s"):format(name, program.flows), 3) end
  world:setting "CONTAINER_FLOW_NAME" -- tend itself has loaded it, and says what is wrong with it
  local chunk, problem = load(text, "@" .. path, "t", world.env)
  if not chunk then error(problem, 0) end
  local ok, result = world:call(chunk, nil)
  if not ok then error(result, 0) end
  for list, entries in pairs(world.added) do
    if list ~= "hooks" then -- those stay apart: Flow:hook puts all in their order
      result[list] = result[list] or {}
      for _, entry in ipairs(entries) do table.insert(result[list], entry) end
    end
  end
  return setmetatable({ name = name, table = result, world = world }, Flow)
end

return flow
