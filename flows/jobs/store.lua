-- What the stores of the jobs share: a connection, its tables, and which failures of a database pass by themselves.
local store = {}

-- Failures of the connection, of a server that starts or stops, of a lock.
local passing_words = {
  dns = true, refused = true, unreachable = true, timeout = true, closed = true, starting_up = true, too_many_clients = true,
  read_only = true,
}
local passing_classes = { ["08"] = true, ["25"] = true, ["40"] = true, ["53"] = true, ["55"] = true, ["57"] = true, ["58"] = true }

local Failure = { __tostring = function(f) return f.message end }

--- Raises a failure of the database.
---@param err tend.error
function store.fail(err)
  local sqlstate = err.sqlstate
  local passing = passing_words[err.code] or (sqlstate and passing_classes[sqlstate:sub(1, 2)]) or false
  error(setmetatable({ message = err.message or tostring(err), passing = passing, code = sqlstate or err.code }, Failure), 0)
end

--- Raises that somebody else has gone on with the work.
---@param message string
function store.overtaken(message)
  error(setmetatable({ message = message, passing = true, code = "overtaken" }, Failure), 0)
end

--- True for a failure that may not be there at the next try.
function store.passes(failure)
  return getmetatable(failure) == Failure and failure.passing
end

--- SQL for the column payload as JSON text, null where it has more bytes than `longest` (SQL too). An object's numbers come
--- as texts, so that they keep every digit; its nulls as empty ones.
function store.payload_as_texts(longest)
  return ([[case
  when octet_length(payload::text) > %s then null
  when jsonb_typeof(payload) <> 'object' then payload::text
  else (select coalesce(jsonb_object_agg(key, case jsonb_typeof(value)
      when 'number' then to_jsonb(value #>> '{}') when 'null' then '""' else value end), '{}')
    from jsonb_each(payload))::text end]]):format(longest)
end

--- A class of stores, with query and close.
function store.class()
  local Store = {}
  Store.__index = Store

  --- The rows; raises where it fails.
  function Store:query(sql, ...)
    local rows, err = self.session:query(sql, ...)
    if not rows then
      -- PostgreSQL does not say which table lacks a column
      local name = sql:match "rpa%d_%l+"
      if err.sqlstate == "42703" and name then err.message = ("%s (table %s)"):format(err.message, name) end
      store.fail(err)
    end
    return rows
  end

  function Store:close() self.session:close() end
  Store.__close = Store.close

  return Store
end

--- Opens a connection and makes the tables where the last of them is missing.
---@param o table  class, database, lock (a number apart from those of others), last (a table's name), tables (SQL), setup (SQL)
function store.open(o)
  local session, err = postgres.connect(o.database)
  if not session then store.fail(err) end
  local self = setmetatable({ session = session }, o.class)
  local ok, failure = pcall(function()
    if o.setup then self:query(o.setup) end
    if self:query("select to_regclass($1) is not null as there", o.last)[1].there then return end
    self:query("begin")
    self:query("select pg_advisory_xact_lock($1::int, 0) as locked", o.lock)
    for _, sql in ipairs(o.tables) do self:query(sql) end
    self:query("commit")
  end)
  if not ok then
    session:close()
    error(failure, 0)
  end
  return self
end

return store
