-- A worker of flow rpa3: takes rows from the queue, a batch at a time, and ends each with its result or the reason why
-- it has none. There may be any number of workers, in any number of containers.
local link = require "jobs.link"
local rpa3_store = require "jobs.rpa3_store"
local store = require "jobs.store"
local work = require "jobs.rpa3_work"

local set = settings.declare(require "jobs.rpa3_settings")

local PIECE_ROWS = 25            -- rows that are read, and ended, at once
local PIECE_BYTES = 256 * 1024   -- results that are written at once
local LONGEST_BYTES = 128 * 1024 -- a longer payload is set aside
local MAX_RETRIES = 5
local IDLE_SECONDS, IDLE_MAX_SECONDS = 0.1, 2
local EXIT_FAILED, EXIT_TEMPORARY = 1, 75

local done, failed = 0, 0

local function finish(db, ends, bad)
  if #ends == 0 then return end
  db:finish(ends)
  done, failed = done + #ends - bad, failed + bad
end

--- Ends some rows of the claim: how many there were.
local function piece(db)
  local rows = db:claimed(PIECE_ROWS, LONGEST_BYTES)
  local ends, bytes, bad = {}, 0, 0
  for _, row in ipairs(rows) do
    local result, reason
    if row.payload then
      result, reason = work.result(row.payload)
    else
      reason = ("it has more than %d bytes"):format(LONGEST_BYTES)
    end
    if not result then
      bad = bad + 1
      log.warning("rpa3: a row is set aside", { id = row.id, reason = reason })
    end
    ends[#ends + 1] = ("[%d,%s,%s]"):format(row.id, result or "null", reason and json.encode(reason) or "null")
    bytes = bytes + #ends[#ends]
    if bytes >= PIECE_BYTES then
      finish(db, ends, bad)
      ends, bytes, bad = {}, 0, 0
    end
  end
  finish(db, ends, bad)
  return #rows
end

--- One batch: true when there was something to do.
local function batch(db)
  if db:claim(set.BATCH_SIZE) == 0 then return db:release_dead() > 0 end
  repeat
    if signal.stopping() then
      db:give_back()
      return true
    end
  until piece(db) == 0
  return true
end

-- With a handler a stop does not end the script: it is asked for between two pieces.
for _, name in ipairs { "TERM", "INT" } do
  signal.on(name, function() end)
end

local who = settings.get "CONTAINER_WORKER_ID"
local database = link.new { who = "rpa3", open = function() return rpa3_store.open("rpa_db", who) end, max_retries = MAX_RETRIES }
local idle = IDLE_SECONDS
local ok, failure = true, nil
while ok and not signal.stopping() do
  local busy
  ok, busy = pcall(database.run, database, {}, batch)
  if not ok then
    failure = busy
  elseif busy then
    idle = IDLE_SECONDS
  else
    link.pause(idle * (0.75 + math.random() / 2)) -- not all workers at the same moment
    idle = math.min(idle * 2, IDLE_MAX_SECONDS)
  end
end
database:close()
log[ok and "info" or "error"]("rpa3: the worker ends", { done = done, failed = failed, error = failure and tostring(failure) })
if not ok then return store.passes(failure) and EXIT_TEMPORARY or EXIT_FAILED end
return 0
