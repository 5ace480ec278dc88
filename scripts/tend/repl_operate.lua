-- What an operator can look at and do from the prompt. All that changes something is an operation of the control socket, with
-- its checks and its audit: core.op(name, args) waits for the outcome.
local core, print_ = ...
local operate = { functions = {}, topics = {}, names = {} }
local functions = operate.functions

-- --- what is there --------------------------------------------------------------------------------------------------

local function status()
  local answer, err = core.ask("status")
  if not answer then
    error(err, 0)
  end
  return answer
end

local methods = {}

local function method(list, name, op, argument)
  methods[list] = methods[list] or {}
  methods[list][name] = function(entry, more)
    local args = type(more) == "table" and more or {}
    args[argument] = entry.name
    return core.op(op, args)
  end
end

method("processes", "start", "start", "process")
method("processes", "stop", "stop", "process")
method("processes", "restart", "restart", "process")
method("processes", "logs", "logs", "process")
method("checks", "run", "check-now", "name")
method("dependencies", "run", "check-now", "name")

-- Entries by name; several instances of a process are its `instances`.
local function by_name(list)
  local found, names = {}, {}
  for _, entry in ipairs(status()[list] or {}) do
    local first = found[entry.name]
    if not first then
      found[entry.name] = setmetatable(entry, { __index = methods[list], __name = list == "processes" and "process" or "check" })
      names[#names + 1] = entry.name
    else
      local instances = rawget(first, "instances") or { first.instance or 0 }
      instances[#instances + 1] = entry.instance
      rawset(first, "instances", instances)
    end
  end
  return found, names
end

local shown = setmetatable({}, { __mode = "k" }) -- from a live table to what it stands for
local names_of = setmetatable({}, { __mode = "k" })

-- The plain table that a live one stands for, nil for all others.
function operate.live(t)
  return shown[t] and shown[t]()
end

function operate.name_of(t)
  return names_of[t]
end

local function live_table(list, noun)
  local t = {}
  shown[t] = function()
    return (by_name(list))
  end
  names_of[t] = list
  functions[list] = setmetatable(t, {
    __index = function(_, name)
      local found, names = by_name(list)
      if found[name] then
        return found[name]
      end
      error(("there is no %s \"%s\"; there are: %s"):format(noun, tostring(name), #names > 0 and table.concat(names, ", ") or "none"), 2)
    end,
    __newindex = function()
      error(("a %s is not given by assigning; it is the flow's"):format(noun), 2)
    end,
    __pairs = function()
      local found, names = by_name(list)
      local i = 0
      return function()
        i = i + 1
        return names[i], found[names[i]]
      end
    end,
    __len = function()
      local _, names = by_name(list)
      return #names
    end,
    __metatable = false,
  })
end

live_table("processes", "process")
live_table("checks", "check")
live_table("dependencies", "dependency")

-- --- operations -----------------------------------------------------------------------------------------------------

function functions.op(name, args)
  if type(name) ~= "string" then
    error("op: expected an operation's name, got " .. type(name), 2)
  end
  return core.op(name, args)
end

local function ask(name)
  return function()
    return core.op(name)
  end
end

for _, name in ipairs { "status", "health", "why", "report", "metrics" } do
  operate.topics[name] = ask(name)
end
functions.status, functions.health, functions.why = operate.topics.status, operate.topics.health, operate.topics.why
functions.report = operate.topics.report
operate.topic_names = { "health", "status", "metrics", "why", "report", "events" }

local function name_given(who, what, wanted)
  local name = what
  if type(what) == "table" then
    name = rawget(what, "name")
  end
  if type(name) ~= "string" and not (what == nil and wanted == "may") then
    error(("%s: expected a name, got %s"):format(who, type(what)), 3)
  end
  return name
end

for _, name in ipairs { "start", "stop", "restart" } do
  functions[name] = function(process)
    return core.op(name, { process = name_given(name, process, "may") })
  end
end

function functions.logs(process)
  return core.op("logs", { process = name_given("logs", process, "may") })
end

function functions.check_now(check)
  return core.op("check-now", { name = name_given("check_now", check) })
end

function functions.remediate(action, options)
  return core.op("remediate", { action = name_given("remediate", action), dry_run = options and options.dry_run or nil })
end

function functions.maintenance(on, lasts)
  if type(on) ~= "boolean" then
    error("maintenance: expected true or false, got " .. type(on), 2)
  end
  return core.op("maintenance", { on = on, ["for"] = lasts and tostring(lasts) or nil })
end

function functions.reload()
  return core.op("reload", {})
end

function functions.shutdown()
  return core.op("shutdown", {})
end

function functions.events(options)
  local list, err = core.op("events", options or { last = 20 })
  if not list then
    return nil, err
  end
  local events = {}
  for i, entry in ipairs(list) do
    events[i] = entry.event
  end
  return events
end

-- --- by hand --------------------------------------------------------------------------------------------------------

local function change(part, name, fields)
  if type(fields) ~= "table" then
    error("change: expected fields such as { interval = 5 }, got " .. type(fields), 3)
  end
  return core.op("change", { what = part, name = name, fields = fields })
end

for _, list in ipairs { "checks", "dependencies", "processes" } do
  methods[list].change = function(entry, fields)
    local done, err = change(list, entry.name, fields)
    if not done then
      return nil, err
    end
    return done
  end
end

function functions.set(name, value)
  if type(name) ~= "string" then
    error("set: expected the name of a setting, got " .. type(name), 2)
  end
  return core.op("set", { name = name, value = value })
end

function functions.undo()
  return core.op("undo", {})
end

local function lua_of(v)
  if type(v) == "table" and v["$fn"] then
    return "a function"
  end
  return (print_.text(v, { full = true, width = 1e6 }))
end

local function sorted(t)
  local keys = {}
  for key in pairs(t or {}) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

local function said(was, key)
  local v = was and was[key]
  v = tonumber(v) or v
  return v == nil and "not in the file" or v == "" and "without a value" or "was " .. lua_of(v)
end

local function settings_lines(changes, was, lines)
  local names = sorted(changes)
  if #names == 0 then
    return
  end
  lines[#lines + 1] = "settings = {"
  for _, name in ipairs(names) do
    lines[#lines + 1] = ("  %s = %s, -- %s"):format(name:gsub("^CONTAINER_", ""), lua_of(changes[name]), said(was, name))
  end
  lines[#lines + 1] = "},"
end

-- Processes are by name, all else are entries with names.
local function part_lines(part, changes, was, lines)
  local names = sorted(changes)
  if #names == 0 then
    return
  end
  lines[#lines + 1] = part .. " = {"
  for _, name in ipairs(names) do
    local fields = {}
    if part == "processes" then
      lines[#lines + 1] = print_.is_name(name) and ("  %s = {"):format(name) or ("  [%q] = {"):format(name)
    else
      lines[#lines + 1] = ("  { name = %q,"):format(name)
    end
    for i, field in ipairs(sorted(changes[name])) do
      fields[i] = ("    %s = %s, -- %s"):format(field, lua_of(changes[name][field]), said((was or {})[name], field))
    end
    table.move(fields, 1, #fields, #lines + 1, lines)
    lines[#lines + 1] = "  },"
  end
  lines[#lines + 1] = "},"
end

-- What differs from the files because somebody changed it by hand: lines of Lua for the flow, then what no file says.
function operate.delta()
  local by_hand, err = core.op("by-hand")
  if not by_hand then
    return nil, err
  end
  local lines = {}
  settings_lines(by_hand.changes.settings, by_hand.was.settings, lines)
  for _, part in ipairs { "processes", "dependencies", "checks", "remedies" } do
    part_lines(part, by_hand.changes[part], by_hand.was[part], lines)
  end
  local now = status()
  if now.maintenance then
    lines[#lines + 1] = "-- in maintenance: maintenance(false) ends it"
  end
  for _, process in ipairs(now.processes or {}) do
    if process.state == "down" and not process.spare and (now.state == "RUNNING" or now.state == "STOPPED") then
      lines[#lines + 1] = ("-- %s is stopped: start %q has it run again"):format(process.name, process.name)
    end
  end
  local level = core.op("log-level", {})
  local given = core.op("setting", { name = "CONTAINER_LOG_LEVEL" })
  if level and given and level.level ~= given.value:upper() then
    lines[#lines + 1] = ("-- the log's level is %s: op(\"log-level\", { level = %q })"):format(level.level, given.value)
  end
  return lines
end

-- --- names, for completion ------------------------------------------------------------------------------------------

local function listed(list)
  return function()
    local _, names = by_name(list)
    return names
  end
end

operate.names.process = listed "processes"

function operate.names.check()
  local names = operate.names.process and {}
  for _, list in ipairs { "checks", "dependencies" } do
    local _, more = by_name(list)
    table.move(more, 1, #more, #names + 1, names)
  end
  return names
end

function operate.names.setting()
  local names = {}
  for _, full in ipairs(core.settings()) do
    names[#names + 1] = full
    names[#names + 1] = full:match("^CONTAINER_(.+)$")
  end
  return names
end

function operate.names.database()
  local names = { "rpa_db" }
  for _, full in ipairs(core.settings()) do
    local name = full:match("^CONTAINER_DATABASE_(.+)_CONNECTION_STRING$")
    names[#names + 1] = name and name:lower()
  end
  return names
end

function operate.names.action()
  local names = {}
  for _, remedy in ipairs(status().remedies or {}) do
    names[#names + 1] = remedy.name
  end
  return names
end

function operate.names.topic()
  local names = table.move(operate.topic_names, 1, #operate.topic_names, 1, {})
  local ok, processes = pcall(operate.names.process)
  if ok then
    table.move(processes, 1, #processes, #names + 1, names)
  end
  return names
end

function operate.is_process(name)
  return (by_name("processes"))[name] ~= nil
end

function operate.process(name)
  return (by_name("processes"))[name]
end

return operate
