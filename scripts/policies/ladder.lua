-- Remedies against failing checks: ladders whose steps are tried one after the other until the check is good again.
--
--   local ladder = require "policies.ladder"
--   checks   = { resources.memory(), resources.disk { name = "output_space", path = set.OUTPUT_DIR }, database.health() }
--   remedies = {
--     ladder.memory { check = "memory", caches = forget_what_is_old },
--     ladder.disk { check = "output_space", temporary = { path = set.OUTPUT_DIR, pattern = "*.tmp", older_than_s = 3600 } },
--     ladder.database { check = "rpa_database", steps = { reset = my_own_reset } },
--   }
local check = require "policies.check"

local ladder = {}

local common = {
  name = "text", description = "text", check = "names", failures = "count", cooldown = "seconds", max = "count", window = "seconds",
  dry_run = "boolean", steps = "table", escalate = "list", process = "text",
}

local escalations = {
  restart = function(o)
    return { name = "restart", kind = "restart", params = { process = o.process }, description = "the process is restarted" }
  end,
  fail = function()
    return { name = "fail", kind = "fail", description = "the container fails, and whoever runs it starts it anew" }
  end,
}

-- A place in the ladder that is empty unless the flow fills it.
local function place(name) return { name = name, empty = true } end

-- One of the steps, or what a flow gives in its place: false, a function, a step.
local function replaced(step, by)
  if by == nil then return not step.empty and step end
  if type(by) == "function" then return { name = step.name, run = by } end
  if type(by) == "table" then
    local out = { name = step.name }
    for key, value in pairs(by) do out[key] = value end
    return out
  end
  return by
end

local function build(who, o, defaults, all, known)
  local options = {}
  for key, spec in pairs(common) do options[key] = spec end
  for key, spec in pairs(known) do options[key] = spec end
  o = check.options(who, o, options)
  local given, steps, names = {}, {}, {}
  for name, by in pairs(o.steps or {}) do
    if by ~= false and type(by) ~= "function" and type(by) ~= "table" then
      error(("%s.steps.%s: expected false, a function or a step, got %s"):format(who, tostring(name), type(by)), 3)
    end
    given[name] = by
  end
  for _, step in ipairs(all(o)) do
    names[#names + 1] = step.name
    local by = given[step.name]
    given[step.name] = nil
    steps[#steps + 1] = replaced(step, by) or nil
  end
  local unknown = next(given)
  if unknown then
    error(("%s.steps.%s: no such step; there are %s"):format(who, tostring(unknown), table.concat(names, ", ")), 3)
  end
  if not steps[1] then error(who .. ": no step is left", 3) end
  local escalate = {}
  for i, step in ipairs(o.escalate or defaults.escalate) do
    if type(step) == "string" then
      local make = escalations[step]
      if not make then error(('%s.escalate[%d]: expected "restart", "fail" or a step, got "%s"'):format(who, i, step), 3) end
      step = make(o)
    end
    escalate[i] = step
  end
  return {
    name = o.name or defaults.name,
    description = o.description or defaults.description,
    check = o.check,
    failures = o.failures,
    cooldown = o.cooldown,
    max = o.max,
    window = o.window,
    dry_run = o.dry_run,
    steps = steps,
    escalate = escalate,
  }
end

-- Files that may go, as a step; one table or a list of them.
local function add_files(option, steps, name, files, description)
  if not files then
    steps[#steps + 1] = place(name)
    return
  end
  local list = files[1] and files or { files }
  for i, entry in ipairs(list) do
    if type(entry) ~= "table" or type(entry.path) ~= "string" or type(entry.older_than_s) ~= "number" then
      error(option .. ": expected path and older_than_s (and pattern, max_files, max_mb)", 4)
    end
    steps[#steps + 1] = {
      name = #list > 1 and ("%s_%d"):format(name, i) or name,
      kind = "remove_temporary",
      params = {
        path = entry.path, pattern = entry.pattern, older_than_s = entry.older_than_s, max_files = entry.max_files, max_mb = entry.max_mb,
      },
      description = description,
    }
  end
end

--- Memory: `collect` (the scripts' garbage), `caches` (a function of the flow, or files that may go), `signal` (to the process, where
--- one is named; it has 5 seconds), `slow_checks`; then the process is restarted, then the container fails.
---@param o table  check; caches (a function, or path, pattern, older_than_s), signal, process (main), the keys of a remedy, steps, escalate
function ladder.memory(o)
  return build("ladder.memory", o, {
    name = "memory", description = "memory is given back", escalate = { "restart", "fail" },
  }, function(given)
    local steps = { { name = "collect", kind = "collect", description = "garbage of the scripts is collected" } }
    if type(given.caches) == "function" then
      steps[#steps + 1] = { name = "caches", run = given.caches, description = "caches of the flow are cleared" }
    else
      add_files("ladder.memory.caches", steps, "caches", given.caches, "caches of the flow are cleared")
    end
    if given.signal then
      steps[#steps + 1] = {
        name = "signal", kind = "signal", params = { process = given.process, signal = given.signal }, settle = 5,
        description = "the process is told to give memory back",
      }
    else
      steps[#steps + 1] = place "signal"
    end
    steps[#steps + 1] = { name = "slow_checks", kind = "slow_checks", description = "checks run less often for a while" }
    return steps
  end, { caches = "action", signal = "text" })
end

--- Too much load: `slow_checks` (what is good is asked that much less often for a while). Nothing comes after it unless `escalate` says so.
---@param o table  check; factor (4), for_s (300), process (main), the keys of a remedy, steps, escalate
function ladder.pressure(o)
  return build("ladder.pressure", o, {
    name = "pressure", description = "load is taken away", escalate = {},
  }, function(given)
    return { { name = "slow_checks", kind = "slow_checks", params = { factor = given.factor, for_s = given.for_s },
               description = "checks run less often for a while" } }
  end, { factor = "number", for_s = "count" })
end

--- A database: `reset` (the connections of its pool are made anew). Whoever cannot live without it adds escalate = { "restart" }.
---@param o table  check; database (rpa_db), process (main), the keys of a remedy, steps, escalate
function ladder.database(o)
  return build("ladder.database", o, {
    name = "database", description = "connections are made anew", escalate = {},
  }, function(given)
    return { { name = "reset", kind = "reset_database", params = { database = given.database }, settle = 1,
               description = "the pool's connections are made anew" } }
  end, { database = "text" })
end

--- Disk space: `temporary_files` (by age and pattern, in the folders that are named and nowhere else: path, pattern,
--- older_than_s, max_files, max_mb), `rotate_logs` (where a folder of logs is named), `clear` (a function of the flow, where there
--- is one). Nothing comes after them unless `escalate` says so.
---@param o table  check; temporary (one or a list), logs, clear, process, the keys of a remedy, steps, escalate
function ladder.disk(o)
  return build("ladder.disk", o, {
    name = "disk", description = "disk space is freed", escalate = {},
  }, function(given)
    local steps = {}
    add_files("ladder.disk.temporary", steps, "temporary_files", given.temporary, "temporary files are removed")
    local logs = given.logs
    if logs then
      steps[#steps + 1] = {
        name = "rotate_logs", kind = "rotate_logs", params = type(logs) == "table" and logs or { path = logs },
        description = "logs are rotated, old ones removed",
      }
    else
      steps[#steps + 1] = place "rotate_logs"
    end
    steps[#steps + 1] = given.clear and { name = "clear", run = given.clear, description = "the flow clears what it can" } or place "clear"
    return steps
  end, { temporary = "table", logs = "action", clear = "fn" })
end

return check.module("ladder", ladder)
