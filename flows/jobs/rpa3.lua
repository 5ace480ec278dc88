-- The coordinator of flow rpa3: gives the rows of dead workers back to the queue, says how far it is, and ends when it
-- is empty; in mode server it stays.
local link = require "jobs.link"
local rpa3_store = require "jobs.rpa3_store"
local store = require "jobs.store"

settings.declare(require "jobs.rpa3_settings")

local LOOK_SECONDS, TELL_SECONDS = 1, 30
local MAX_RETRIES = 5
local EXIT_FAILED, EXIT_TEMPORARY = 1, 75

for _, name in ipairs { "TERM", "INT" } do
  signal.on(name, function() end)
end

local stays = settings.get "CONTAINER_EXECUTION_MODE" == "server"
local who = settings.get "CONTAINER_WORKER_ID"
local database = link.new { who = "rpa3", open = function() return rpa3_store.open("rpa_db", who) end, max_retries = MAX_RETRIES }
local began, told, released = clock.monotonic(), clock.monotonic(), 0

--- Looks once: true when the queue is empty.
local function look(db)
  local rows = db:release_dead()
  if rows > 0 then
    released = released + rows
    log.warning("rpa3: rows of dead workers wait again", { rows = rows })
  end
  if clock.monotonic() - told >= TELL_SECONDS then
    told = clock.monotonic()
    log.info("rpa3: the queue", db:counts())
  end
  return db:drained()
end

while not signal.stopping() do
  local ok, drained = pcall(database.run, database, {}, look)
  if not ok then
    database:close()
    log.error("rpa3: the queue cannot be looked at", { error = tostring(drained) })
    return store.passes(drained) and EXIT_TEMPORARY or EXIT_FAILED
  end
  if drained and not stays then break end
  link.pause(LOOK_SECONDS)
end
database:close()
log.info(signal.stopping() and "rpa3: stopped" or "rpa3: the queue is empty",
  { released = released, duration_ms = math.floor((clock.monotonic() - began) * 1000) })
return 0
