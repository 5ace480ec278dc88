-- What the container must be given, as a dependency: CPUs, memory, disk space, descriptors; and how many network connections
-- it may have.
--
--   local resources = require "policies.resources"
--   dependencies = { resources.available { cpus = 4, memory_mb = 512 } }
local check = require "policies.check"

local resources = {}

local kinds = {
  { "cpus", "%d CPUs" }, { "memory_mb", "%d MB of memory" }, { "disk_mb", "%d MB of disk space" },
  { "descriptors", "%d descriptors" }, { "connections", "at most %d connections" },
}

--- So much is there, of the machine and within the container's limits.
---@param o table  cpus, memory_mb, disk_mb with path, descriptors, connections; name, description, required, timeout (5 seconds), interval
function resources.available(o)
  o = check.options("resources.available", o, {
    name = "text", description = "text", cpus = "count", memory_mb = "count", disk_mb = "count", path = "text",
    descriptors = "count", connections = "count", required = "boolean", timeout = "seconds", interval = "seconds",
  })
  local params, parts = { path = o.path }, {}
  for _, kind in ipairs(kinds) do
    local key, text = kind[1], kind[2]
    params[key] = o[key]
    if o[key] then parts[#parts + 1] = text:format(o[key]) end
  end
  if not parts[1] then error("resources.available: expected cpus, memory_mb, disk_mb, descriptors or connections", 2) end
  return {
    name = o.name or "resources",
    description = o.description or table.concat(parts, ", "),
    kind = "resource",
    params = params,
    required = o.required ~= false,
    timeout = o.timeout or 5,
    interval = o.interval or 1,
  }
end

return resources
