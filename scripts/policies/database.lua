-- PostgreSQL databases as dependencies and checks.
--
--   local database = require "policies.database"
--   dependencies = { database.rpa(), database.named "archive" }
--   checks       = { database.health() }
local check = require "policies.check"

local database = {}

local options = {
  name = "text", description = "text", required = "boolean", timeout = "seconds", interval = "seconds",
  query = "text", writable = "boolean",
}

local function dependency(who, setting, o, defaults)
  check.options(who, o, options)
  local writable = o.writable
  if writable == nil then writable = defaults.writable end
  return {
    name = o.name or defaults.name,
    description = o.description or defaults.description,
    kind = "postgres",
    params = { setting = setting, query = o.query or defaults.query, writable = writable },
    requires = { setting },
    required = o.required ~= false,
    timeout = o.timeout or defaults.timeout,
    interval = o.interval,
  }
end

--- The database of the RPA flows: CONTAINER_RPA_DB_CONNECTION_STRING, required, 120 seconds, and not a standby.
---@param o? table  name, description, required, timeout, interval, query, writable
function database.rpa(o)
  return dependency("database.rpa", "CONTAINER_RPA_DB_CONNECTION_STRING", o or {}, {
    name = "rpa_database", description = "RPA database", timeout = 120, writable = true,
  })
end

--- A further database: `CONTAINER_DATABASE_<NAME>_CONNECTION_STRING`, `_TIMEOUT` and `_HEALTH_QUERY`.
---@param name string
---@param o? table  as for database.rpa
function database.named(name, o)
  check.text("database.named", name)
  if not name:find("^[%w_]+$") then
    error(('database.named: expected a name of letters, digits and "_", got "%s"'):format(name), 2)
  end
  local prefix = "CONTAINER_DATABASE_" .. name:upper() .. "_"
  return dependency("database.named", prefix .. "CONNECTION_STRING", o or {}, {
    name = name:lower() .. "_database",
    description = "database " .. name:lower(),
    -- there are settings of a family only where one of them is given
    query = settings.has(prefix .. "HEALTH_QUERY") and settings.get(prefix .. "HEALTH_QUERY") or nil,
    timeout = settings.has(prefix .. "TIMEOUT") and settings.get(prefix .. "TIMEOUT") or nil,
  })
end

--- A health check of the RPA database, or of another one by its setting's name. It makes a connection each time, as a workload
--- that starts must; with `pool` it borrows one of the pool that scripts use.
---@param o? table  setting, query, writable, slow, pool, the keys of a check
function database.health(o)
  o = check.health_options("database.health", o or {}, {
    setting = "text", query = "text", writable = "boolean", slow = "seconds", pool = "boolean",
  })
  local setting = o.setting or "CONTAINER_RPA_DB_CONNECTION_STRING"
  local family = setting:gsub("^CONTAINER_", ""):gsub("^DATABASE_", ""):gsub("CONNECTION_STRING$", "")
  local function of_pool(field)
    local name = "CONTAINER_DATABASE_" .. family .. "POOL_" .. field
    return settings.has(name) and settings.get(name) or nil
  end
  return check.health(o, {
    name = "rpa_database",
    description = "the database answers",
    kind = "postgres",
    params = {
      setting = setting, query = o.query, writable = o.writable, slow = o.slow,
      pool = o.pool and (of_pool "SIZE" or 5) or nil, pool_max_age = o.pool and of_pool "MAX_AGE" or nil,
    },
    requires = { setting },
  })
end

return database
