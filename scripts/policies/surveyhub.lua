-- The survey hub's database: an optional dependency, asked only where its host is given.
--
--   local surveyhub = require "policies.surveyhub"
--   dependencies = { surveyhub.host() }
local check = require "policies.check"

local surveyhub = {}

--- CONTAINER_DATABASE_SURVEY_HUB_HOST resolves; with CONTAINER_DATABASE_SURVEY_HUB_PORT it accepts connections.
---@param o? table  name, required (false), timeout (30 seconds), interval
function surveyhub.host(o)
  o = check.options("surveyhub.host", o or {}, {
    name = "text", required = "boolean", timeout = "seconds", interval = "seconds",
  })
  local host = settings.get "CONTAINER_DATABASE_SURVEY_HUB_HOST"
  local port = settings.get "CONTAINER_DATABASE_SURVEY_HUB_PORT"
  return {
    name = o.name or "survey_hub",
    description = "survey hub",
    kind = port and "tcp" or "dns",
    params = { host = host, port = port },
    skip = not host and "CONTAINER_DATABASE_SURVEY_HUB_HOST is not given" or nil,
    required = o.required == true,
    timeout = o.timeout or 30,
    interval = o.interval,
  }
end

return surveyhub
