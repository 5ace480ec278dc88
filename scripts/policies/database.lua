-- PostgreSQL databases as dependencies and checks.
--
--   local database = require "policies.database"
--   dependencies = { database.rpa(), database.named "archive" }
--   checks       = { database.health() }
local check = require "policies.check"

local database = {}

local options = { query = "text", writable = "boolean" }

local function dependency(setting, o, params, entry)
  params.setting = setting
  if o.query ~= nil then params.query = o.query end
  if o.writable ~= nil then params.writable = o.writable end
  entry.kind, entry.params, entry.requires = "postgres", params, { setting }
  return check.dependency(o, entry)
end

--- The database of the RPA flows: CONTAINER_RPA_DB_CONNECTION_STRING, required, and not a standby.
---@param o? table  name, description, required, timeout, interval, query, writable
function database.rpa(o)
  o = check.dependency_options("database.rpa", o or {}, options)
  return dependency("CONTAINER_RPA_DB_CONNECTION_STRING", o, { writable = true },
    { name = "rpa_database", description = "RPA database" })
end

--- A further database: `CONTAINER_DATABASE_<NAME>_CONNECTION_STRING`, `_TIMEOUT` and `_HEALTH_QUERY`.
---@param name string
---@param o? table  as for database.rpa
function database.named(name, o)
  check.text("database.named", name)
  if not name:find("^[%w_]+$") then
    error(('database.named: expected a name of letters, digits and "_", got "%s"'):format(name), 2)
  end
  o = check.dependency_options("database.named", o or {}, options)
  local prefix = "CONTAINER_DATABASE_" .. name:upper() .. "_"
  local function given(field) -- there are settings of a family only where one of them is given
    return settings.has(prefix .. field) and settings.get(prefix .. field) or nil
  end
  return dependency(prefix .. "CONNECTION_STRING", o, { query = given "HEALTH_QUERY" },
    { name = name:lower() .. "_database", description = "database " .. name:lower(), timeout = given "TIMEOUT" })
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

return check.module("database", database)
