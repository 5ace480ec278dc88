-- The job of flow rpa2: validates the records that wait, a batch at a time, by its rules, and by the validation service
-- where one is given. A run ends when no record waits.
local cache = require "jobs.cache"
local link = require "jobs.link"
local rpa2_service = require "jobs.rpa2_service"
local rpa2_store = require "jobs.rpa2_store"
local rules = require "jobs.rules"
local store = require "jobs.store"

local set = settings.declare(require "jobs.rpa2_settings")

local PIECE_ROWS = 100           -- records that are in memory at once
local LONGEST_BYTES = 128 * 1024 -- a longer one is not valid
local CACHE_SECONDS = 24 * 3600
local MAX_RETRIES = 5
local EXIT_FAILED, EXIT_TEMPORARY = 1, 75

local service
if set.VALIDATION_ENDPOINT then
  local made, err = fs.mkdir(set.CACHE_DIR)
  local verdicts = cache.open { dir = set.CACHE_DIR, max_age = CACHE_SECONDS, who = "rpa2" }
  if not made then verdicts:give_up(err) end
  service = rpa2_service.new { url = set.VALIDATION_ENDPOINT, cache = verdicts }
end

--- Judges records and writes what came of them: how many are not valid.
local function judge(db, ids)
  local rows = db:read(ids, LONGEST_BYTES, set.VALIDATION_ENDPOINT or "")
  local open, invalid, ends = {}, 0, {}
  for _, row in ipairs(rows) do
    row.broken = row.payload and rules.broken(row.payload) or { ("it has more than %d bytes"):format(LONGEST_BYTES) }
    -- what the rules refuse, the service need not see
    if #row.broken == 0 then open[#open + 1] = row end
  end
  if service then service:judge(open) end
  for i, row in ipairs(rows) do
    local verdict = row.verdict
    if verdict and not verdict.valid then row.broken = { verdict.reason } end
    local valid = #row.broken == 0
    if not valid then invalid = invalid + 1 end
    ends[i] = ('[%d,%s,%s,"%s"]'):format(row.id, valid, valid and "[]" or json.encode(row.broken), verdict and verdict.by or "rules")
  end
  db:write(ends)
  return invalid
end

--- One batch in one transaction: how many records, and how many of them are not valid.
local function batch(db)
  local ids = db:take(set.BATCH_SIZE)
  local invalid = 0
  for from = 1, #ids, PIECE_ROWS do
    invalid = invalid + judge(db, { table.unpack(ids, from, math.min(from + PIECE_ROWS - 1, #ids)) })
  end
  db:commit()
  return { rows = #ids, invalid = invalid }
end

-- With a handler a stop does not end the script: it is asked for between two batches.
for _, name in ipairs { "TERM", "INT" } do
  signal.on(name, function() end)
end

local who = settings.get "CONTAINER_WORKER_ID"
local database = link.new { who = "rpa2", open = function() return rpa2_store.open("rpa_db", who) end, max_retries = MAX_RETRIES }
local began, rows, invalid = clock.monotonic(), 0, 0
while not signal.stopping() do
  local ok, came = pcall(database.run, database, {}, batch)
  if not ok then
    database:close()
    log.error("rpa2: the records cannot be validated", { error = tostring(came), records = rows })
    return store.passes(came) and EXIT_TEMPORARY or EXIT_FAILED
  end
  if not came or came.rows == 0 then break end
  rows, invalid = rows + came.rows, invalid + came.invalid
end
database:close()
if rows > 0 or signal.stopping() then
  log.info(signal.stopping() and "rpa2: stopped between two batches" or "rpa2: all records are validated",
    { records = rows, invalid = invalid, duration_ms = math.floor((clock.monotonic() - began) * 1000) })
end
return 0
