-- What stands in for the C halves of the API (engine/lua/l_*.c): the same functions over the world of a test in place of the
-- machine. Their Lua halves are tend's own, so that options are checked and errors worded as they are in a container.
local json = require "testing.json"
local program = require "testing.program"

local cores = {}

-- A fake is a function, or what it would give. Without one the test has forgotten something.
local function fake_of(world, key, group, kind)
  local set = world.given[group]
  local value = set
  if type(set) == "table" then
    value = set[kind]
    if value == nil then value = set["*"] end
  end
  if value == nil then world:forgotten(key, ("%s = { %s = … }"):format(group, kind)) end
  return value
end

-- A failure as scripts get it: nil and an error.
local function failure(world, answer, code, message, what)
  if answer == nil and code == nil then return nil end
  return world.fail(code or "error", message or ("%s: %s"):format(what, tostring(code or "it failed")))
end

-- probe -----------------------------------------------------------------------------------------------------------------

local STATUS = { ok = true, warn = true, fail = true, unknown = true }

local function result_of(answer, detail)
  local r = answer
  if answer == true then
    r = { status = "ok" }
  elseif type(answer) == "string" then
    r = STATUS[answer] and { status = answer, detail = detail } or { status = "fail", reason = answer, detail = detail }
  elseif not answer then
    r = { status = "fail", detail = detail }
  end
  local status = r.status or "ok"
  local good = status == "ok" or status == "warn"
  return {
    ok = good, status = status, reason = r.reason or (status == "ok" and "" or "fake"),
    detail = r.detail or (status == "ok" and "" or "so says the test"), seconds = r.seconds or 0, data = r.data,
  }
end

local KINDS = {
  tcp = true, dns = true, file = true, directory = true, command = true, unix = true, process = true, resource = true, usage = true,
  silence = true, postgres = true, http = true,
}

-- A kind that is written in Lua, by its own function; defaults are filled in.
local function run_script(definition, params)
  local given = {}
  for name, param in pairs(definition.params or {}) do given[name] = param.default end
  for name, value in pairs(params) do
    if not (definition.params or {})[name] then error(("%s: unknown parameter"):format(tostring(name)), 0) end
    given[name] = value
  end
  for name, param in pairs(definition.params or {}) do
    if param.required and given[name] == nil then error(name .. ": missing", 0) end
  end
  local answer, detail = definition.check(given)
  return answer, type(detail) == "table" and detail.message or detail
end

function cores.probe(world)
  local core, scripts = {}, {}

  local function faked(kind)
    return type(world.given.probes) == "table" and world.given.probes[kind] ~= nil
  end

  function core.known(kind) return KINDS[kind] or faked(kind) or scripts[kind] ~= nil end
  function core.unknown(kind) return "there is no such kind, and no script probes/" .. kind .. ".lua" end
  function core.script_path(kind) return (program.find(program.scripts, "probes/" .. kind .. ".lua")) end
  function core.declare(kind, definition) scripts[kind] = definition end
  function core.loader() end

  function core.start(kind, params)
    world:note("probe." .. kind, params)
    if scripts[kind] and not faked(kind) then return result_of(run_script(scripts[kind], params)) end
    local answer, detail = fake_of(world, "probe." .. kind, "probes", kind), nil
    if type(answer) == "function" then answer, detail = answer(params) end
    return result_of(answer, detail)
  end

  function core.gather(entries, any)
    local results = {}
    for i, entry in ipairs(entries) do
      results[i] = core.start(entry[1], entry[2])
      if any and results[i].ok then
        for k = i + 1, #entries do results[k] = false end
        break
      end
    end
    return results
  end

  return core
end

-- fs --------------------------------------------------------------------------------------------------------------------

local READ_MAX = 64 * 1024

local function entry_of(world, path)
  local file = world.files[path]
  if type(file) == "string" then return { type = "file", text = file } end
  if type(file) == "table" then
    return { type = file.type or "file", text = file.text or "", mtime = file.mtime, size = file.size, mode = file.mode }
  end
  local below = (path == "/" and "" or path) .. "/"
  for other in pairs(world.files) do
    if other:sub(1, #below) == below then return { type = "directory", text = "" } end
  end
end

local ops = {}

function ops.stat(world, path)
  local e = entry_of(world, path)
  if not e then return nil, "enoent" end
  return json.encode {
    type = e.type, size = e.size or #e.text, mtime = e.mtime or world.begun, mode = e.mode or 420, uid = 0, gid = 0,
  }
end

function ops.list(world, path)
  local e = entry_of(world, path)
  if not e or e.type ~= "directory" then return nil, e and "enotdir" or "enoent" end
  local below, seen, entries = (path == "/" and "" or path) .. "/", {}, {}
  for other in pairs(world.files) do
    local name = other:sub(1, #below) == below and other:sub(#below + 1):match "^[^/]+"
    if name and not seen[name] then
      seen[name] = true
      entries[#entries + 1] = { name = name, type = entry_of(world, below .. name).type }
    end
  end
  table.sort(entries, function(a, b) return a.name < b.name end)
  return json.encode { entries = entries, left_out = 0 }
end

function ops.read(world, path, _, _, offset, max)
  local e = entry_of(world, path)
  if not e then return nil, "enoent" end
  if e.type ~= "file" then return nil, "eisdir" end
  local text = e.text:sub((offset or 0) + 1)
  if max and max > 0 then text = text:sub(1, max) end
  if #text > READ_MAX then return nil, "efbig" end
  return text
end

function ops.write(world, path, _, data)
  world.files[path] = data or ""
  return ""
end

function ops.append(world, path, _, data)
  local e = entry_of(world, path)
  world.files[path] = (e and e.text or "") .. (data or "")
  return ""
end

function ops.mkdir(world, path)
  world.files[path] = world.files[path] or { type = "directory" }
  return ""
end

function ops.rename(world, path, to)
  if world.files[path] == nil then return nil, "enoent" end
  world.files[to], world.files[path] = world.files[path], nil
  return ""
end

function ops.remove(world, path)
  if world.files[path] == nil then return nil, "enoent" end
  world.files[path] = nil
  return ""
end

function ops.sync(world, path)
  if not entry_of(world, path) then return nil, "enoent" end
  return ""
end

local TEXT = {
  enoent = "No such file or directory", enotdir = "Not a directory", eisdir = "Is a directory", efbig = "more than a flow may read at once",
}

function cores.fs(world)
  return {
    direct = true,
    fail = world.fail,
    call = function(op, path, other, data, offset, max)
      world:note("fs." .. op, path, other or data)
      local broken = world.given.broken_files and world.given.broken_files[path]
      local result, code = nil, broken
      if not broken then result, code = ops[op](world, path, other, data, offset, max) end
      if result then return result end
      return world.fail(code, ("%s %s: %s"):format(op, path, TEXT[code] or code))
    end,
  }
end

-- http ------------------------------------------------------------------------------------------------------------------

function cores.http(world)
  return {
    fail = world.fail,
    request = function(request)
      local method = request.method or request.body and "POST" or "GET"
      local headers = {}
      for _, line in ipairs(request.headers or {}) do
        local name, value = line:match "^([^:]+):%s*(.*)$"
        if name then headers[name:lower()] = value end
      end
      local asked = { url = request.url, method = method, body = request.body, headers = headers }
      world:note("http.request", asked)
      local answer, code, message = world.given.http, nil, nil
      if answer == nil then world:forgotten("http", "http = function(request) return { status = 200 } end") end
      if type(answer) == "table" and not answer.status then
        answer = answer[method .. " " .. request.url] or answer[request.url] or { status = 404, body = "" }
      end
      if type(answer) == "function" then answer, code, message = answer(asked) end
      if not answer then return failure(world, answer, code or "refused", message, request.url) end
      if type(answer) == "number" then answer = { status = answer } end
      local lines = {}
      for name, value in pairs(answer.headers or {}) do lines[#lines + 1] = ("%s: %s\n"):format(name, value) end
      return answer.status, table.concat(lines), answer.json ~= nil and json.encode(answer.json) or answer.body or ""
    end,
  }
end

-- postgres --------------------------------------------------------------------------------------------------------------

local function session(world, connection)
  local s = {}

  function s.query(_, sql, params)
    world:note("postgres.query", sql, table.unpack(params, 1, params.n))
    local word = sql:match "^%s*(%a+)"
    word = word and word:upper()
    if word == "BEGIN" or word == "COMMIT" or word == "ROLLBACK" then return {}, 0, word end
    local answer, code, message = world.given.postgres, nil, nil
    if answer == nil then world:forgotten("postgres", "postgres = function(sql, …) return rows end") end
    if type(answer) == "function" then answer, code, message = answer(sql, table.unpack(params, 1, params.n)) end
    if type(answer) == "number" then return {}, answer, word end
    if answer then return answer, #answer, word end
    return world.fail(code or "query", message or ("%s: the test says no"):format(connection))
  end

  function s.close() end
  return setmetatable(s, { __close = function() end })
end

function cores.postgres(world)
  return {
    fail = world.fail,
    connection = function(name) return name, 10, 5, 0 end,
    connect = function(connection)
      world:note("postgres.connect", connection)
      return session(world, connection)
    end,
    pool = function() return nil end,
    reset = function(connection)
      world:note("postgres.reset", connection)
      return 0
    end,
  }
end

-- process ---------------------------------------------------------------------------------------------------------------

-- What came of a command, as the spec says: a result, or nil and an error.
local function answer_of(world, command)
  local words = table.concat(command, " ")
  local answer, code, message = world.given.commands, nil, nil
  if type(answer) == "table" then
    if answer[words] ~= nil then answer = answer[words] else answer = answer[command[1]] end
  end
  if answer == nil then world:forgotten("process.run " .. words, ("commands = { [%q] = 0 }"):format(command[1])) end
  if type(answer) == "function" then answer, code, message = answer(command) end
  if not answer then return failure(world, answer, code or "exec", message, words) end
  if type(answer) == "number" then answer = { code = answer } end
  return {
    code = answer.code or 0, ok = (answer.code or 0) == 0, signal = answer.signal, output = answer.output or "", cut = false, seconds = 0,
  }
end

-- A command that has ended when somebody waits for it.
local function spawned(world, command)
  local result, err = answer_of(world, command)
  local child, ended = {}, false
  function child.wait()
    ended = true
    return result, err
  end
  function child.signal(_, sig)
    world:note("child:signal", command, sig)
    return true
  end
  function child.output() return result and result.output or "" end
  function child.running() return not ended end
  function child.pid() return not ended and 4711 or nil end
  function child.close() ended = true end
  return setmetatable(child, { __close = child.close })
end

function cores.process(world)
  local core = { fail = world.fail }

  function core.run(command)
    world:note("process.run", command)
    return answer_of(world, command)
  end

  function core.spawn(command)
    world:note("process.spawn", command)
    return spawned(world, command)
  end

  function core.operate(op, name)
    world:note("process." .. op, name)
    return true
  end

  function core.signal(name, _, sig)
    world:note("process.signal", name, sig)
    return 1
  end

  function core.tail(name) return (world.given.outputs or {})[name] or "" end

  function core.ask(what)
    local answer = world.given[what]
    if type(answer) == "function" then answer = answer() end
    if answer == nil and what == "status" then answer = { state = "RUNNING", processes = {} } end
    if answer == nil then world:forgotten("what the engine knows: " .. what, what .. " = { … }") end
    return answer
  end

  return core
end

-- settings --------------------------------------------------------------------------------------------------------------

function cores.settings(world)
  local core = { prefix = world.flow_name and ("CONTAINER_%s_"):format(world.flow_name:upper():gsub("%-", "_")) or "CONTAINER_" }
  core.declare = function(name, kind, _, fallback)
    world:declare_setting(name, kind, fallback)
  end
  function core.resolve() end
  function core.value(name) return world:setting(name) end
  function core.require(name)
    if not select(2, world:setting(name)) then error("settings.require: there is no setting " .. name, 3) end
  end
  return core
end

-- metrics, lifecycle, control, dns -----------------------------------------------------------------------------------------------

function cores.metrics(world)
  local function key(metric, values) return metric .. (#values > 0 and "{" .. table.concat(values, ",") .. "}" or "") end
  return {
    declare = function(_, name) return name end,
    update = function(metric, op, values, v)
      local name = key(metric, values)
      world.metrics[name] = op == "set" and v or (world.metrics[name] or 0) + v
    end,
    get = function(metric, values) return world.metrics[key(metric, values)] end,
  }
end

function cores.lifecycle(world)
  return {
    register = function(list, entry)
      world.added[list] = world.added[list] or {}
      table.insert(world.added[list], entry)
    end,
  }
end

function cores.control(world)
  return {
    taken = function(name) return false, world.commands[name] ~= nil end,
    register = function(definition, run, timeout)
      world.commands[definition.name] = { run = run, timeout = timeout, definition = definition }
    end,
  }
end

cores.hooks = cores.lifecycle

function cores.dns(world)
  return {
    resolve = function(name)
      world:note("dns.resolve", name)
      local answer = fake_of(world, "dns.resolve " .. name, "dns", name)
      if type(answer) == "function" then answer = answer(name) end
      if type(answer) == "string" then answer = { answer } end
      if answer then return answer end
      return world.fail("dns", name .. ": the name does not resolve")
    end,
  }
end

return cores
