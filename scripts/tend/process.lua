-- process: commands, and what the engine knows of the plan's processes and does with them.
local core = ...

local process = { run = core.run }

function process.spawn(command)
  local child, err = core.spawn(command)
  return child, err
end

local function check_name(name, who)
  if type(name) ~= "string" or name == "" then
    error(("%s: expected the name of a process, got %s"):format(who, type(name)), 3)
  end
end

-- Options of a known set, each of its type.
local function check_options(options, known, who)
  if options ~= nil and type(options) ~= "table" then
    error(("%s: expected a table of options, got %s"):format(who, type(options)), 3)
  end
  for key, value in pairs(options or {}) do
    if not known[key] then
      error(("%s.%s: unknown option"):format(who, tostring(key)), 3)
    elseif type(value) ~= known[key] then
      error(("%s.%s: expected a %s, got %s"):format(who, key, known[key], type(value)), 3)
    end
  end
  return options or {}
end

local function check_instance(instance, who)
  if instance ~= nil and (math.type(instance) ~= "integer" or instance < 0) then
    error(("%s.instance: expected a whole number from 0, got %s"):format(who, tostring(instance)), 3)
  end
  return instance
end

function process.list()
  local status, err = core.ask("status")
  return status and status.processes, err
end

function process.get(name)
  local list, err = process.list()
  if not list then
    return nil, err
  end
  for _, entry in ipairs(list) do
    if entry.name == name then
      return entry
    end
  end
  return core.fail("unknown", "the plan has no process \"" .. tostring(name) .. "\"")
end

for _, op in ipairs { "start", "stop", "restart" } do
  process[op] = function(name, options)
    local who = "process." .. op
    check_name(name, who)
    local o = check_options(options, { wait = "boolean" }, who)
    local done, err = core.operate(op, name, o.wait ~= false)
    if done == nil then
      return nil, err
    end
    return true
  end
end

function process.signal(name, sig, options)
  check_name(name, "process.signal")
  local o = check_options(options, { instance = "number", group = "boolean" }, "process.signal")
  local n, err = core.signal(name, check_instance(o.instance, "process.signal"), sig, o.group)
  return n, err
end

function process.output(name, options)
  check_name(name, "process.output")
  local o = check_options(options, { instance = "number", lines = "number" }, "process.output")
  if o.lines and (math.type(o.lines) ~= "integer" or o.lines < 0) then
    error(("process.output.lines: expected a whole number from 0, got %s"):format(o.lines), 2)
  end
  local known, unknown = process.get(name)
  if not known then
    return nil, unknown
  end
  local text, err = core.tail(name, check_instance(o.instance, "process.output"))
  if not text or not o.lines then
    return text, err
  end
  local at = #text + 1
  for _ = 1, o.lines do
    local before = text:sub(1, at - 1):find("[^\n]*\n?$")
    if before >= at then
      break
    end
    at = before
  end
  return text:sub(at)
end

-- For the modules that ask the engine for something else.
process.ask = core.ask

return process
