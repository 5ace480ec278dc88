---@meta

---PostgreSQL, waiting without blocking. A database is its name in the settings ("rpa_db": CONTAINER_RPA_DB_CONNECTION_STRING;
---"stock": CONTAINER_DATABASE_STOCK_CONNECTION_STRING), a connection string, or a table with one of these.
---
---Values come as Lua values by their type: integers, floats and numeric as numbers (cast to text to keep every digit of a
---numeric), boolean as booleans, null as nil, all else as the server's text. Parameters ($1, $2 …) are texts, numbers,
---booleans or nil. A statement has 30 s, a connection 10 s (or the database's _TIMEOUT).
---
---Error codes: "dns", "refused", "unreachable", "timeout", "tls", "authentication", "no_database", "too_many_clients",
---"starting_up", "read_only", "closed", "query" (with sqlstate), "config", "part" (the libpq part is not installed).
---@class postgres
postgres = {}

---@alias tend.database string|{ connection?: string, name?: string, timeout?: number, query_timeout?: number }

---One connection; statements go one after the other. `local s <close> = assert(postgres.connect "rpa_db")` closes itself.
---@class tend.postgres.session
local session = {}

---One statement and its rows, each a table by column names. Its time limit is the database's `query_timeout` (30 s); after a
---timeout, a cancelled task, or an answer over 64 MB the connection is gone ("closed"). Raises while another task uses the session.
---@async
---@param sql string
---@param ... string|number|boolean|nil $1, $2 …
---@return table<string, any>[]? rows an empty list where there are none
---@return tend.error? err
function session:query(sql, ...) end

---The same for a statement of which only the number of rows matters: 0 for those that count none.
---@async
---@param sql string
---@param ... string|number|boolean|nil $1, $2 …
---@return integer? affected rows
---@return tend.error? err
function session:execute(sql, ...) end

---Runs fn between BEGIN and COMMIT and gives what it returns (true for nothing). It rolls back when fn raises, which goes on,
---or returns nil, err.
---@async
---@param fn fun(session: tend.postgres.session): any, tend.error?
---@return any
---@return tend.error? err what fn returned; of BEGIN or COMMIT; "query" when a statement had failed and fn went on all the same
function session:transaction(fn) end

---Begins to hear what NOTIFY sends to that channel, on this connection. Use one that is its own (postgres.connect): a pool's forgets
---it when it goes back.
---@async
---@param channel string
---@return true?
---@return tend.error? err
function session:listen(channel) end

---Hears that channel no more. What has come already can still be taken.
---@async
---@param channel string
---@return true?
---@return tend.error? err
function session:unlisten(channel) end

---@class tend.postgres.notification
---@field channel string
---@field payload string
---@field pid integer of the server's process that sent it
---@field dropped integer how many were lost so far, since 1,000 waited already

---The next notification, in the order in which they were sent. One task at a time may wait. Raises before the first listen.
---@async
---@param timeout? number seconds; without one as long as the task lives
---@return tend.postgres.notification?
---@return tend.error? err "timeout"; "closed" when the connection is gone: connect and listen again
function session:notification(timeout) end

---Sends a notification; inside a transaction with its commit.
---@async
---@param channel string
---@param payload? string under 8000 bytes
---@return true?
---@return tend.error? err
function session:notify(channel, payload) end

---Ends the connection; an open transaction is rolled back by the server. More than once does nothing. A session that is let go of
---is closed by the collector at some time.
function session:close() end

---Connects and logs in, on a connection that is the caller's to close.
---@async
---@param database tend.database
---@return tend.postgres.session?
---@return tend.error? err any of the codes above but "query"
function postgres.connect(database) end

---One query, over the pool of a database that is named; with a connection string on a connection of its own.
---@async
---@param database tend.database
---@param sql string
---@param ... string|number|boolean|nil
---@return table<string, any>[]? rows
---@return tend.error? err
function postgres.query(database, sql, ...) end

---One statement, as postgres.query.
---@async
---@param database tend.database
---@param sql string
---@param ... string|number|boolean|nil
---@return integer? affected
---@return tend.error? err
function postgres.execute(database, sql, ...) end

---One transaction, as postgres.query.
---@async
---@param database tend.database
---@param fn fun(session: tend.postgres.session): any, tend.error?
---@return any
---@return tend.error? err
function postgres.transaction(database, fn) end

---@class tend.postgres.pool
---@field size integer connections at once, at most (CONTAINER_DATABASE_<NAME>_POOL_SIZE)
---@field idle integer
---@field used integer lent, being made or cleaned
---@field waiting integer callers that wait for a connection
---@field opened integer so far
---@field dropped integer so far: lost, or could not be made
---@field oldest number seconds, the age of the oldest connection

---The numbers of a database's pool; all zero before its first use.
---@param database tend.database
---@return tend.postgres.pool?
---@return tend.error? err "config"
function postgres.pool(database) end

---Closes the connections of a database's pool: the idle ones now, the others when they come back. The next call makes new ones.
---@param database tend.database
---@return integer? connections how many
---@return tend.error? err "config"
function postgres.reset(database) end

---One notification, as postgres.query.
---@async
---@param database tend.database
---@param channel string
---@param payload? string under 8000 bytes
---@return true?
---@return tend.error? err
function postgres.notify(database, channel, payload) end
