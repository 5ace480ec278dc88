-- Services on the network as dependencies.
--
--   local service = require "policies.service"
--   dependencies = { service.tcp { name = "cache", host = "redis", port = 6379, required = false } }
local check = require "policies.check"

local service = {}

local common = {
  name = "!text", description = "text", required = "boolean", timeout = "seconds", interval = "seconds",
}

local function with_common(keys)
  for key, spec in pairs(common) do keys[key] = spec end
  return keys
end

local function dependency(o, kind, params, description)
  return {
    name = o.name,
    description = o.description or description,
    kind = kind,
    params = params,
    required = o.required ~= false,
    timeout = o.timeout,
    interval = o.interval,
  }
end

--- A TCP port that accepts connections.
---@param o table  name, host, port; description, required, timeout, interval
function service.tcp(o)
  check.options("service.tcp", o, with_common { host = "!text", port = "!port" })
  return dependency(o, "tcp", { host = o.host, port = o.port }, ("%s:%d accepts connections"):format(o.host, o.port))
end

--- The host and port of a URL accept connections.
---@param o table  name, url; description, required, timeout, interval
function service.url(o)
  check.options("service.url", o, with_common { url = "!text" })
  local host, port = check.host_port(o.url)
  if not host then error(("service.url.url: expected a URL like http://host:8080/, but %s"):format(port), 2) end
  return dependency(o, "tcp", { host = host, port = port }, ("%s:%d accepts connections"):format(host, port))
end

--- A host name that resolves.
---@param o table  name, host; description, required, timeout, interval
function service.name(o)
  check.options("service.name", o, with_common { host = "!text" })
  return dependency(o, "dns", { host = o.host }, ("the name %s resolves"):format(o.host))
end

return service
