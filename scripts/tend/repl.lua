-- The prompt's Lua side: evaluates chunks in an environment of the session's own over the policies' globals, gives the
-- operator's functions, and shows what came out. core is lua/repl_lua.c.
local core = ...
local print_ = core.half("repl_print", core)
local help = core.half("repl_help", core)
local complete = core.half("repl_complete", core, help, print_.is_name)
local operate = core.half("repl_operate", core, print_)

local repl = {}
local PIECE = 32 * 1024
local api = setmetatable({}, { __index = _G })
local live = operate.live

-- --- output ---------------------------------------------------------------------------------------------------------

local function put(text)
  for i = 1, #text, PIECE do
    core.print(text:sub(i, i + PIECE - 1)) -- waits where the client is slow
  end
end

function api.print(...)
  local parts = table.pack(...)
  for i = 1, parts.n do
    parts[i] = tostring(parts[i])
  end
  put(table.concat(parts, "\t") .. "\n")
end

-- --- names of functions ---------------------------------------------------------------------------------------------

-- From a function to what the stubs call it, for all that are open by now.
local function names_by_function()
  local map = {}
  for _, full in ipairs(help.names()) do
    local owner, name = full:match("^([%w_]+)[.]([%w_]+)$")
    local value
    if owner then
      local t = rawget(_G, owner)
      value = type(t) == "table" and rawget(t, name)
    else
      value = rawget(api, full) or rawget(_G, full)
    end
    if type(value) == "function" then
      map[value] = full
    end
  end
  return map
end

local function namer()
  local map
  return function(fn)
    map = map or names_by_function()
    local entry = map[fn] and help.entry(map[fn])
    return entry and entry.signature or nil
  end
end

local function path_namer()
  local map
  return function(fn)
    map = map or names_by_function()
    return map[fn]
  end
end

-- --- help, show, watch, dry -----------------------------------------------------------------------------------------

local OVERVIEW = [[
An expression prints its value; a statement runs. What waits (probes, queries, commands) is waited for; Ctrl-C ends it.
  status() health() why() report() events{} logs(process)    what the engine knows
  processes.NAME  checks.NAME  dependencies.NAME              live, by name; Tab completes
  start(p) stop(p) restart(p) check_now(name) remediate(action) maintenance(on, "30m") reload() shutdown()
  set(NAME, value)  checks.NAME:change { interval = 5 }       by hand, over what the files say; undo() takes it back
  delta()                                                     what was changed by hand, as Lua for the flow
  watch "health"                                              again and again: health, status, metrics, events, a function
  dry(function)                                               what effects it would have, without any
  show(x)                                                     a long value whole; _ is the last one
  help(x)                                                     of a function, a module or a name: help "probe.http", help(fs)
probe, http, postgres, fs, process, net, timer … are what flows use: help(probe).
]]

function api.help(x)
  if x == nil then
    put(OVERVIEW)
    return
  end
  local name = x
  if type(x) == "function" then
    name = names_by_function()[x]
  elseif type(x) == "table" then
    name = nil
    for _, module in ipairs(core.modules()) do
      if rawget(_G, module) == x then
        name = module
      end
    end
    name = name or operate.name_of(x)
  end
  local lines = type(name) == "string" and help.lines((name:gsub("%(%)$", "")))
  if lines then
    put(table.concat(lines, "\n") .. "\n")
  elseif type(x) == "string" then
    local near = {}
    for _, full in ipairs(help.names()) do
      if full:lower():find(x:lower(), 1, true) then
        near[#near + 1] = full
      end
    end
    put(#near > 0 and ("%s: %s\n"):format(x, table.concat(near, ", ", 1, math.min(#near, 30)))
      or ("nothing is known of \"%s\"; help() is the overview\n"):format(x))
  else
    put(("nothing is known of this %s; help() is the overview\n"):format(type(x)))
  end
end

-- The whole of it, however long, in pieces.
function api.show(x)
  local parts, size = {}, 0
  print_.value(x, {
    full = true, width = core.width(), live = live, name_of = namer(),
    put = function(text)
      parts[#parts + 1] = text
      size = size + #text
      if size >= PIECE then
        put(table.concat(parts))
        parts, size = {}, 0
      end
    end,
  })
  put(table.concat(parts) .. "\n")
end

local function shown(value)
  return (print_.text(value, { width = core.width() - 10, live = live, name_of = namer() }))
end

local function stamp()
  return clock.format(clock.now()):match("T([%d:]+)")
end

local function watch_events(seconds, level)
  local from
  while true do
    local list, err = core.op("events", from and { from = from, level = level } or { last = 5, level = level })
    if not list then
      return nil, err
    end
    for _, entry in ipairs(list) do
      if entry.event then
        local e = entry.event
        put(("%s %-8s %s%s\n"):format(tostring(e.timestamp):match("T([%d:]+)") or "", tostring(e.level), tostring(e.event),
          e.message and ": " .. tostring(e.message) or ""))
        from = entry.seq + 1
      end
    end
    from = from or 1
    timer.sleep(seconds)
  end
end

-- Prints what is asked about now and whenever it has changed.
function api.watch(what, seconds)
  seconds = seconds or 1
  if type(seconds) ~= "number" or seconds ~= seconds or seconds < 0.05 then
    error("watch: expected seconds from 0.05 on, got " .. tostring(seconds), 2)
  end
  if what == "events" then
    return watch_events(seconds)
  end
  local look = type(what) == "function" and what or operate.topics[what]
  if not look and type(what) == "string" and operate.is_process(what) then
    look = function()
      return operate.process(what)
    end
  end
  if not look then
    error(("watch: expected %s, a process or a function, got %s"):format(table.concat(operate.topic_names, ", "), tostring(what)), 2)
  end
  local last
  while true do
    local value, err = look()
    local text = value == nil and err and shown(err) or shown(value)
    if text ~= last then
      put(("%s  %s\n"):format(stamp(), text))
      last = text
    end
    timer.sleep(seconds)
  end
end

-- Prints what was changed by hand, as Lua for the flow.
function api.delta()
  local lines, err = operate.delta()
  if not lines then
    return nil, err
  end
  put(#lines > 0 and table.concat(lines, "\n") .. "\n" or "nothing was changed by hand\n")
end

-- Runs it with every effect listed in place of done. → the list
function api.dry(what)
  local fn, err = what, nil
  if type(what) == "string" then
    fn, err = load(what, "=dry", "t", core.env())
  end
  if type(fn) ~= "function" then
    error("dry: expected a function or a chunk, got " .. (err or type(what)), 2)
  end
  local before = core.effects("list")
  local ok, failure = pcall(fn)
  local list, left_out = core.listed()
  core.effects(before)
  local effects = {}
  for name, detail in list:gmatch("([^\t\n]*)\t([^\n]*)\n") do
    effects[#effects + 1] = name .. " " .. detail
  end
  if left_out > 0 then
    effects[#effects + 1] = ("and %d more"):format(left_out)
  end
  if not ok then
    effects[#effects + 1] = "then it would fail: " .. tostring(failure)
  end
  return effects
end

for name, fn in pairs(operate.functions) do
  api[name] = fn
end

-- --- chunks ---------------------------------------------------------------------------------------------------------

function repl.env()
  local env = setmetatable({}, { __index = api })
  rawset(env, "_G", env)
  return env
end

local function compile(text, name, env)
  local fn = load("return " .. text, name, "t", env)
  if fn then
    return fn
  end
  return load(text, name, "t", env)
end

local function is_error(v)
  local mt = type(v) == "table" and getmetatable(v)
  return type(mt) == "table" and rawget(mt, "__name") == "error"
end

-- o: width, json, dry, statement (no expression, not to be continued: a file). → a table for the client: incomplete, syntax (what
-- is wrong with it), text, values, failed, effects.
function repl.evaluate(env, text, name, o)
  local chunk, err
  if o.statement then
    chunk, err = load(text:gsub("^#[^\n]*", ""), name, "t", env)
  else
    chunk, err = compile(text, name, env)
  end
  if not chunk then
    if not o.statement and err:find("<eof>$") then
      return { incomplete = true, syntax = err }
    end
    return { syntax = err }
  end
  local results = table.pack(chunk())
  local answer = { failed = results[1] == nil and is_error(results[2]) or nil }
  if o.dry then
    local list, left_out = core.listed()
    answer.effects = { list = list, left_out = left_out }
  end
  if results.n > 0 then
    rawset(env, "_", results[1])
  end
  if o.json then
    answer.values = {}
    for i = 1, results.n do
      answer.values[i] = print_.plain(results[i], nil, live)
    end
    return answer
  end
  local parts, cut = {}, false
  local name_of = namer()
  for i = 1, math.min(results.n, 50) do
    local shown_, was_cut = print_.text(results[i], { width = o.width, live = live, name_of = name_of })
    parts[i], cut = shown_, cut or was_cut
  end
  if results.n > 50 then
    parts[51] = ("-- and %d values more"):format(results.n - 50)
  end
  if cut then
    parts[#parts + 1] = "-- cut; show(_) prints the whole"
  end
  answer.text = table.concat(parts, "\n")
  return answer
end

local KINDS = {
  help = help.names,
  op = function()
    local list = core.op("ops")
    return list or {}
  end,
}

function repl.complete(env, text)
  return complete.at(text, {
    env = env, api = api, modules = core.modules(), live = live, name_of = path_namer(),
    names = function(kind)
      local list = KINDS[kind] or operate.names[kind]
      return list and list() or {}
    end,
  })
end

return repl
