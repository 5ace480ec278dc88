-- What the container must be given, as a dependency, and what it uses of it, as checks; and how many network connections it
-- may have.
--
--   local resources = require "policies.resources"
--   dependencies = { resources.available { cpus = 4, memory_mb = 512 } }
--   checks       = { resources.memory { warn = 80, fail = 90 }, resources.disk(set.OUTPUT_DIR) }
local check = require "policies.check"

local resources = {}

local kinds = {
  { "cpus", "%d CPUs" }, { "memory_mb", "%d MB of memory" }, { "disk_mb", "%d MB of disk space" },
  { "descriptors", "%d descriptors" }, { "connections", "at most %d connections" },
}

--- So much is there, of the machine and within the container's limits.
---@param o table  cpus, memory_mb, disk_mb with path, descriptors, connections; hint, name,
---                description, required, timeout (5 seconds), interval
function resources.available(o)
  o = check.dependency_options("resources.available", o, {
    cpus = "count", memory_mb = "count", disk_mb = "count", path = "text", descriptors = "count", connections = "count", hint = "text",
  })
  local params, parts = { path = o.path, hint = o.hint }, {}
  for _, kind in ipairs(kinds) do
    local key, text = kind[1], kind[2]
    params[key] = o[key]
    if o[key] then parts[#parts + 1] = text:format(o[key]) end
  end
  if not parts[1] then error("resources.available: expected cpus, memory_mb, disk_mb, descriptors or connections", 2) end
  return check.dependency(o, {
    name = "resources", description = table.concat(parts, ", "), kind = "resource", params = params, timeout = 5, interval = 1,
  })
end

-- A check of one number; its result makes the container degraded, unless `role` says otherwise.
local function usage(who, o, of, defaults)
  o = check.health_options(who, o or {}, defaults.path and { warn = "count", fail = "count", path = "!text" } or
    { warn = "count", fail = "count" })
  local warn, fail = o.warn, o.fail
  if not warn and not fail then warn, fail = defaults.warn, defaults.fail end
  return check.health(o, {
    name = defaults.name or of,
    description = defaults.description,
    kind = "usage",
    params = { of = of, warn = warn, fail = fail, path = defaults.path },
    role = "monitor",
  })
end

--- The memory in use, in percent of the container's limit: a warning from 80, a failure from 90.
---@param o? table  warn, fail, the keys of a check
function resources.memory(o)
  return usage("resources.memory", o, "memory", { warn = 80, fail = 90, description = "memory is left" })
end

--- The processor time in use, in percent of what the container may use: a warning from 90.
---@param o? table  as for resources.memory
function resources.cpu(o)
  return usage("resources.cpu", o, "cpu", { warn = 90, description = "processor time is left" })
end

-- A path alone, or a table with it.
local function on_path(who, o, of, what)
  if type(o) == "string" then o = { path = o } end
  local path = type(o) == "table" and o.path
  local named = type(path) == "string" and path or "?"
  return usage(who, o, of, {
    name = of .. "_" .. check.slug(named), warn = 80, fail = 95, path = path or true,
    description = ("%s left where %s lies"):format(what, named),
  })
end

--- The space in use of the file system that a directory lies on: a warning from 80 percent, a failure from 95.
---@param o string|table  path; warn, fail, the keys of a check
function resources.disk(o) return on_path("resources.disk", o, "disk", "space is") end

--- The same for its inodes.
---@param o string|table  as for resources.disk
function resources.inodes(o) return on_path("resources.inodes", o, "inodes", "inodes are") end

--- The open files of the process below tend that is nearest to its own limit: a warning from 80 percent, a failure from 95.
---@param o? table  as for resources.memory
function resources.descriptors(o)
  return usage("resources.descriptors", o, "descriptors", { warn = 80, fail = 95, description = "files can be opened" })
end

--- Processes and threads, in percent of the container's limit: a warning from 80, a failure from 95.
---@param o? table  as for resources.memory
function resources.tasks(o)
  return usage("resources.tasks", o, "tasks", { warn = 80, fail = 95, description = "processes can be started" })
end

--- The share of the last ten seconds in which something had to wait for "cpu", "memory" or "io": a warning from 40 percent.
---@param what "cpu"|"memory"|"io"
---@param o? table  as for resources.memory
function resources.pressure(what, o)
  if what ~= "cpu" and what ~= "memory" and what ~= "io" then
    error(('resources.pressure: expected "cpu", "memory" or "io", got %s'):format(tostring(what)), 2)
  end
  return usage("resources.pressure", o, what .. "_pressure", { warn = 40, description = "nothing waits long for " .. what })
end

--- Processes of the container that the kernel has killed for want of memory since tend's start: a warning from the first on.
---@param o? table  as for resources.memory
function resources.oom_kills(o)
  return usage("resources.oom_kills", o, "oom_kills", { warn = 1, description = "nothing was killed for want of memory" })
end

return check.module("resources", resources)
