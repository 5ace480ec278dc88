-- Prefect: an optional dependency, asked only where its address is given.
--
--   local prefect = require "policies.prefect"
--   dependencies = { prefect.server() }
local check = require "policies.check"

local prefect = {}

--- Host and port of CONTAINER_PREFECT_API_URL, or of CONTAINER_PREFECT_SERVER_URL, accept connections.
---@param o? table  name, required (false), timeout (30 seconds), interval
function prefect.server(o)
  o = check.options("prefect.server", o or {}, {
    name = "text", required = "boolean", timeout = "seconds", interval = "seconds",
  })
  local entry = {
    name = o.name or "prefect_server",
    description = "Prefect server",
    kind = "tcp",
    required = o.required == true,
    timeout = o.timeout or 30,
    interval = o.interval,
  }
  local name = "CONTAINER_PREFECT_API_URL"
  local url = settings.get(name)
  if not url then
    name = "CONTAINER_PREFECT_SERVER_URL"
    url = settings.get(name)
  end
  if not url then
    entry.params = {}
    entry.skip = "neither CONTAINER_PREFECT_API_URL nor CONTAINER_PREFECT_SERVER_URL is given"
    return entry
  end
  local host, port = check.host_port(url)
  if not host then error(("%s: expected a URL like http://prefect-server:4200/api, but %s"):format(name, port), 2) end
  entry.params = { host = host, port = port }
  return entry
end

return prefect
