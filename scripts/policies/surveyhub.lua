-- The survey hub's database: an optional dependency, asked only where its host is given.
--
--   local surveyhub = require "policies.surveyhub"
--   dependencies = { surveyhub.host() }
local check = require "policies.check"

local surveyhub = {}

--- CONTAINER_DATABASE_SURVEY_HUB_HOST resolves; with CONTAINER_DATABASE_SURVEY_HUB_PORT it accepts connections.
---@param o? table  name, description, required (false), timeout (30 seconds), interval
function surveyhub.host(o)
  o = check.dependency_options("surveyhub.host", o or {}, {})
  local host = settings.get "CONTAINER_DATABASE_SURVEY_HUB_HOST"
  local port = settings.get "CONTAINER_DATABASE_SURVEY_HUB_PORT"
  return check.dependency(o, {
    name = "survey_hub",
    description = "survey hub",
    kind = port and "tcp" or "dns",
    params = { host = host, port = port },
    skip = not host and "CONTAINER_DATABASE_SURVEY_HUB_HOST is not given" or nil,
    required = false,
    timeout = 30,
  })
end

return check.module("surveyhub", surveyhub)
