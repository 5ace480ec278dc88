-- postgres: queries that wait without blocking. A database is given by its name in the settings ("rpa_db") or as a
-- connection string. A plain call borrows a connection from the pool of a named database; with a connection string, it opens
-- one for itself.
local core = ...

local postgres = {}
local QUERY_SECONDS = 30

local Session = {}
Session.__index = Session
Session.__name = "postgres session"

local function resolve(db, who)
  local connection, timeout = db, nil
  if type(db) == "table" then
    connection, timeout = db.connection or db.name, db.timeout
  end
  if type(connection) ~= "string" or connection == "" then
    error(who .. ": expected a database's name or connection string, got " .. type(connection), 4)
  end
  if connection:find("://", 1, true) or connection:find("=", 1, true) then
    return connection, timeout or 10
  end
  -- then seconds; else the setting, where there is one
  local found, second, size, max_age = core.connection(connection)
  if not found then
    local setting = second or connection == "rpa_db" and "CONTAINER_RPA_DB_CONNECTION_STRING"
      or ("CONTAINER_DATABASE_%s_CONNECTION_STRING"):format(connection:upper())
    return core.fail("config", ("database %s: %s has no value"):format(connection, setting))
  end
  return found, timeout or second, size, max_age
end

local function run(self, sql, ...)
  if type(sql) ~= "string" then
    error("postgres: expected a statement, got " .. type(sql), 3)
  end
  return self.core:query(sql, table.pack(...), self.timeout)
end

function Session:query(sql, ...)
  local rows, err = run(self, sql, ...)
  if not rows then
    return nil, err
  end
  return rows
end

function Session:execute(sql, ...)
  local rows, affected = run(self, sql, ...)
  if rows then
    return affected < 0 and 0 or affected
  end
  return nil, affected
end

local function channel_name(channel, who)
  if type(channel) ~= "string" or channel == "" or #channel > 63 or channel:find("%z") then
    error(("%s: expected the name of a channel, up to 63 bytes, got %s"):format(who, tostring(channel)), 3)
  end
  return '"' .. channel:gsub('"', '""') .. '"'
end

function Session:listen(channel)
  local name = channel_name(channel, "session:listen")
  self.core:hear()
  local done, err = self:execute("LISTEN " .. name)
  return done and true, err
end

function Session:unlisten(channel)
  local done, err = self:execute("UNLISTEN " .. channel_name(channel, "session:unlisten"))
  return done and true, err
end

function Session:notification(timeout)
  local notification, err = self.core:notice(timeout)
  return notification, err
end

function Session:notify(channel, payload)
  channel_name(channel, "session:notify")
  if payload ~= nil and type(payload) ~= "string" then
    error("session:notify: expected a text as payload, got " .. type(payload), 2)
  end
  local done, err = self:query("SELECT pg_notify($1, $2)", channel, payload or "")
  return done and true, err
end

function Session:close()
  self.core:close()
end

Session.__close = Session.close

-- fn(session) in BEGIN … COMMIT; what it raises, or its nil, err, rolls back.
function Session:transaction(fn)
  local begun, err = self:execute("BEGIN")
  if not begun then
    return nil, err
  end
  local results = table.pack(pcall(fn, self))
  local failed = not results[1] or (results[2] == nil and results[3] ~= nil)
  if failed then
    pcall(self.execute, self, "ROLLBACK")
    if not results[1] then
      error(results[2], 0)
    end
    return nil, results[3]
  end
  local committed, commit_err, tag = run(self, "COMMIT")
  if not committed then
    return nil, commit_err
  end
  if tag ~= "COMMIT" then -- the server's answer where a statement had failed and fn went on all the same
    return core.fail("query", "the transaction was rolled back: a statement in it had failed")
  end
  if results.n == 1 then
    return true
  end
  return table.unpack(results, 2, results.n)
end

local function connect(db, who, pooled)
  local connection, timeout, size, max_age = resolve(db, who)
  if not connection then
    return nil, timeout
  end
  local session, err = core.connect(connection, timeout, pooled and size or nil, max_age)
  if not session then
    return nil, err
  end
  return setmetatable({ core = session, timeout = type(db) == "table" and db.query_timeout or QUERY_SECONDS }, Session)
end

function postgres.connect(db)
  return connect(db, "postgres.connect")
end

for _, name in ipairs { "query", "execute", "transaction", "notify" } do
  postgres[name] = function(db, ...)
    local opened, err = connect(db, "postgres." .. name, true)
    if not opened then
      return nil, err
    end
    local session <close> = opened
    return Session[name](session, ...)
  end
end

function postgres.pool(db)
  local connection, err = resolve(db, "postgres.pool")
  if not connection then
    return nil, err
  end
  return core.pool(connection) or { size = 0, idle = 0, used = 0, waiting = 0, opened = 0, dropped = 0, oldest = 0 }
end

function postgres.reset(db)
  local connection, err = resolve(db, "postgres.reset")
  if not connection then
    return nil, err
  end
  return core.reset(connection)
end

return postgres
