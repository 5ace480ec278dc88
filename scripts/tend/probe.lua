-- probe: one attempt at finding out whether something is there, awaited. What a kind takes is its own table of
-- parameters; a wrong one raises.
local core = ...

local probe = {}

-- The parameters without the timeout, and the timeout; the names in `besides` are left out, too.
local function split(params, besides)
  local given, timeout = {}, 10
  for key, value in pairs(params) do
    if key == "timeout" then
      timeout = value
    elseif not besides or not besides[key] then
      given[key] = value
    end
  end
  return given, timeout
end

-- Makes a kind that is written in Lua known: its script runs once in a generation.
local function load_kind(kind)
  if type(kind) == "string" and not core.known(kind) and core.script_path(kind) then
    core.declare(kind, require("probes." .. kind))
  end
end

-- What a text alone stands for, by kind; of tcp it is HOST:PORT.
local MAIN = {
  http = "url", dns = "host", file = "path", directory = "path", unix = "path", command = "command",
  process = "process", usage = "of", postgres = "conninfo",
}

local function spell_out(kind, text)
  if kind == "tcp" then
    local host, port = text:match "^%[(.+)%]:(%d+)$"
    if not host then
      host, port = text:match "^([^:]+):(%d+)$"
    end
    return host and { host = host, port = math.tointeger(tonumber(port)) }
  end
  return MAIN[kind] and { [MAIN[kind]] = text }
end

function probe.run(kind, params)
  load_kind(kind)
  if type(params) == "string" then
    params = spell_out(kind, params) or params
  end
  if type(params) ~= "table" then
    error(("probe.%s: expected a table of parameters, got %s"):format(tostring(kind), type(params)), 2)
  end
  return core.start(kind, split(params))
end

local ORDER = { ok = 1, warn = 2, unknown = 3, fail = 4 }

local function gather(who, list, any)
  if type(list) ~= "table" then
    error(("%s: expected a list of probes such as { \"tcp\", host = \"db\", port = 5432 }, got %s"):format(who, type(list)), 3)
  end
  local entries, names = {}, {}
  for i, entry in ipairs(list) do
    local kind = type(entry) == "table" and entry[1]
    if type(kind) ~= "string" then
      error(("%s: [%d]: expected a probe such as { \"tcp\", host = \"db\", port = 5432 }"):format(who, i), 3)
    end
    load_kind(kind)
    local params, timeout = split(entry, { [1] = true, name = kind ~= "process" })
    if type(timeout) ~= "number" or not (timeout >= 0 and timeout <= 1e9) then
      error(("%s: [%d]: timeout: expected seconds as a number, got %s"):format(who, i, tostring(timeout)), 3)
    end
    entries[i] = { kind, params, timeout }
    names[i] = entry.name or kind
  end
  local results, err = core.gather(entries, any)
  if not results then
    return { ok = false, status = "unknown", reason = err.code, detail = err.message, seconds = 0, results = {} }
  end
  local all = { results = results, seconds = 0 }
  local wrong, chosen = {}, nil
  for i, result in ipairs(results) do
    if result then
      all.seconds = math.max(all.seconds, result.seconds)
      local better = chosen and ORDER[result.status] < ORDER[chosen.status]
      local worse = chosen and ORDER[result.status] > ORDER[chosen.status]
      if not chosen or (any and better) or (not any and worse) then
        chosen = result
      end
      if not result.ok then
        wrong[#wrong + 1] = ("%s: %s"):format(names[i], result.detail)
      end
    end
  end
  all.ok, all.status, all.reason = chosen.ok, chosen.status, chosen.reason
  all.detail = chosen.ok and "" or table.concat(wrong, "; ")
  return all
end

function probe.all(list)
  local result = gather("probe.all", list, false)
  return result
end

function probe.any(list)
  local result = gather("probe.any", list, true)
  return result
end

local KINDS = {
  "tcp", "dns", "file", "directory", "command", "unix", "process", "resource",
  "usage", "silence", "postgres", "http",
}

for _, kind in ipairs(KINDS) do
  probe[kind] = function(params)
    return probe.run(kind, params)
  end
end

core.loader(load_kind)

return setmetatable(probe, {
  __index = function(_, kind)
    load_kind(kind)
    if not core.known(kind) then
      error(("probe.%s: %s"):format(tostring(kind), core.unknown(tostring(kind))), 2)
    end
    local function run(params)
      local result = probe.run(kind, params)
      return result
    end
    rawset(probe, kind, run)
    return run
  end,
  __newindex = function()
    error("probe cannot be changed; a new kind is a file probes/NAME.lua in the scripts directory", 2)
  end,
  __metatable = false,
})
