-- Prefect: an optional dependency, asked only where its address is given.
--
--   local prefect = require "policies.prefect"
--   dependencies = { prefect.server() }
local check = require "policies.check"

local prefect = {}

-- Where the API is: CONTAINER_PREFECT_API_URL is its address, CONTAINER_PREFECT_SERVER_URL the server's, without /api.
local function api()
  local name, suffix = "CONTAINER_PREFECT_API_URL", ""
  local url = settings.get(name)
  if not url then
    name, suffix = "CONTAINER_PREFECT_SERVER_URL", "/api"
    url = settings.get(name)
  end
  if not url then return nil end
  local host, why = check.host_port(url)
  if not host then error(("%s: expected a URL like http://prefect-server:4200/api, but %s"):format(name, why), 3) end
  return url:gsub("[?#].*$", ""):gsub("/+$", "") .. suffix
end

--- The server of CONTAINER_PREFECT_API_URL, or of CONTAINER_PREFECT_SERVER_URL, is ready (/api/ready answers with 200, so its
--- database is there) and healthy (/api/health says true).
---@param o? table  name, description, required (false), timeout (30 seconds), interval
function prefect.server(o)
  o = check.dependency_options("prefect.server", o or {}, {})
  local url = api()
  local entry = check.dependency(o, { name = "prefect_server", description = "Prefect server", required = false, timeout = 30 })
  if not url then
    entry.kind, entry.params = "http", {}
    entry.skip = "neither CONTAINER_PREFECT_API_URL nor CONTAINER_PREFECT_SERVER_URL is given"
    return entry
  end
  entry.check = function()
    local ready = probe.http { url = url .. "/ready", status = 200, timeout = 5 }
    if not ready.ok then return ready end
    return probe.http { url = url .. "/health", status = 200, equals = "true", timeout = 5 }
  end
  return entry
end

return check.module("prefect", prefect)
