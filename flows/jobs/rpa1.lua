-- The job of flow rpa1: moves CSV files in batches through a table to the output directory, each record exactly once.
--
-- One file: its checksum and name are looked up in the table; its rows go in by batches, from where the table says; when
-- all are in, the output file is written from the table under another name, synced and renamed; then the file is marked
-- done and moved to processed/. Ended at any point, the next run goes on from what the table says, and each step after
-- the last batch gives the same result when it is done again.
local csv = require "jobs.csv"
local digest = require "jobs.digest"
local link = require "jobs.link"
local record = require "jobs.record"
local rpa1_store = require "jobs.rpa1_store"
local store = require "jobs.store"

local set = settings.declare(require "jobs.rpa1_settings")

local READ_BYTES = 64 * 1024
local BATCH_BYTES = 256 * 1024 -- a batch of long records ends earlier
local SETTLED_SECONDS = 1      -- a file that was not changed for so long is complete
local PATIENCE_SECONDS = 5     -- and so long one that still changes is waited for
local EMPTY_SECONDS = 60       -- an empty one of that age stays empty

-- What comes of one file.
local DONE, LATER, STOPPED = "done", "later", "stopped"

local function check(value, err)
  if not value then error(err and err.message or "failed", 0) end
  return value
end

--- The pieces of a file one after the other.
local function pieces(path)
  local offset = 0
  return function()
    local piece = check(fs.read(path, { offset = offset, max = READ_BYTES }))
    offset = offset + #piece
    return piece ~= "" and piece or nil
  end
end

--- The checksum of a file; nil when it cannot be read, with the reason, or when a stop is asked for.
local function checksum(path)
  local sum = digest.new()
  local offset = 0
  while true do
    local piece, err = fs.read(path, { offset = offset, max = READ_BYTES })
    if not piece then return nil, err end
    if piece == "" then return sum.hex() end
    sum.add(piece)
    offset = offset + #piece
    if signal.stopping() then return nil end
  end
end

local function unchanged(a, b)
  return b ~= nil and a.size == b.size and a.mtime == b.mtime
end

--- Waits until a file stays as it is; its stat then, or nil.
local function settled(path)
  local give_up = clock.monotonic() + PATIENCE_SECONDS
  local seen, since = fs.stat(path), clock.monotonic()
  if not seen or seen.type ~= "file" then return nil end
  local age = clock.now() - seen.mtime
  if seen.size == 0 then return age >= EMPTY_SECONDS and seen or nil end
  if age >= SETTLED_SECONDS then return seen end
  while not signal.stopping() and clock.monotonic() < give_up do
    link.pause(0.1)
    local now = fs.stat(path)
    if not now then return nil end
    if not unchanged(seen, now) then seen, since = now, clock.monotonic() end
    if clock.monotonic() - since >= SETTLED_SECONDS then return seen end
  end
  return nil
end

--- The header as it can be stored: trimmed, without what is no text.
local function clean_header(fields)
  local header = {}
  for i, name in ipairs(fields) do
    name = name:gsub("%z", "")
    header[i] = utf8.len(name) and name or name:gsub("[\x80-\xff]", "?")
  end
  return header
end

local hex_of = {}
for byte = 0, 255 do hex_of[string.char(byte)] = ("%02x"):format(byte) end

local function hex(text) return (text:gsub(".", hex_of)) end

--- Puts the rows of a file that are not there yet into the table. DONE when all are in.
local function load(db, file, row, path, deadline)
  local sum = digest.new()
  local read = pieces(path)
  local plan
  local next_record = csv.records(function()
    local piece = read()
    if piece then sum.add(piece) end
    return piece
  end)

  local first = next_record()
  if first and first.fields then
    local header = clean_header(first.fields)
    plan = record.plan(header)
    row.header = row.header or db:set_header(row.id, plan.header)
    first = nil
  end

  local row_no, stored = 0, row.rows_done
  local records, rejects, bytes = {}, {}, 0
  local function flush()
    if row_no <= stored then return end
    db:add(row.id, stored, row_no, records, rejects)
    stored = row_no
    records, rejects, bytes = {}, {}, 0
  end

  local entry = first or next_record()
  if not entry and not plan then entry = { reason = "the file is empty", raw = "", line = 1 } end
  while entry do
    row_no = row_no + 1
    if row_no > stored then
      local fields, reason
      if not entry.fields then
        reason = entry.reason
      elseif not plan then
        reason = "the file has no header that can be read"
      else
        fields, reason = record.transform(plan, entry.fields)
      end
      if fields then
        records[#records + 1] = json.encode { row_no, fields }
        bytes = bytes + #records[#records]
      else
        rejects[#rejects + 1] = json.encode { row_no, entry.line, reason, hex(entry.raw) }
        bytes = bytes + #rejects[#rejects]
      end
      if row_no - stored >= set.BATCH_SIZE or bytes >= BATCH_BYTES then
        flush()
        if signal.stopping() then return STOPPED end
        if clock.monotonic() > deadline then
          log.warning("rpa1: the file takes longer than its time; the next run goes on with it",
            { file = file, rows = row_no, timeout_s = set.TIMEOUT })
          return LATER
        end
      end
    end
    entry = next_record()
  end
  flush()
  if sum.hex() ~= row.checksum then
    log.warning("rpa1: the file was changed while it was read; the next run begins anew with it", { file = file })
    db:forget(row.id)
    return LATER
  end
  return DONE
end

--- Writes a file whole or not at all: the lines that each() gives, in pieces.
local function write(path, temporary, each)
  local parts, bytes = {}, 0
  local function flush()
    check(fs.append(temporary, table.concat(parts)))
    parts, bytes = {}, 0
  end
  for text in each do
    parts[#parts + 1] = text
    bytes = bytes + #text
    if bytes >= READ_BYTES then flush() end
  end
  flush()
  check(fs.sync(temporary))
  check(fs.rename(temporary, path))
end

--- Writes the output file of a loaded file, and the one of its rejects, from the table.
local function give_out(db, row, rejected)
  local function to(dir, each)
    check(fs.mkdir(dir))
    -- a name of its own: somebody who lost the lock without knowing may be writing too
    local temporary = ("%s/.%d.%x.tmp"):format(dir, row.id, math.random(0))
    write(dir .. "/" .. row.output, temporary, each)
    check(fs.sync(dir))
  end
  if row.header then
    local header, next_fields = json.decode(row.header), db:records(row.id)
    to(set.OUTPUT_DIR, function()
      local fields = header or next_fields()
      header = nil
      return fields and csv.line(fields)
    end)
  end
  if rejected > 0 then
    local header, next_reject = { "row", "line", "reason", "record" }, db:rejects(row.id)
    to(set.OUTPUT_DIR .. "/rejected", function()
      local fields = header
      header = nil
      if not fields then
        local r = next_reject()
        fields = r and { tostring(r.row_no), tostring(r.line), r.reason, r.raw }
      end
      return fields and csv.line(fields)
    end)
  end
end

--- Moves a file that is ended with out of the way. Where the input may not be written it stays: the table knows.
local function put_away(file, output, folder)
  local dir = set.INPUT_DIR .. "/" .. folder
  local moved, err = fs.mkdir(dir)
  if moved then moved, err = fs.rename(set.INPUT_DIR .. "/" .. file, dir .. "/" .. output) end
  if not moved and err.code ~= "enoent" then
    log.warning(("rpa1: the file is done but cannot be moved to %s/"):format(folder), { file = file, error = err.message })
  end
end

--- The row of a file in the table.
local function register(db, file, sum, size)
  return db:register(file, sum, size, function(output) return fs.exists(set.OUTPUT_DIR .. "/" .. output) end)
end

--- A file that is not read at all: its reason goes to the rejects, and it to rejected/.
local function set_aside(db, file, stat, reason)
  local row = register(db, file, ("unread %d %.6f"):format(stat.size, stat.mtime), stat.size)
  if row.state ~= "done" then
    if row.rows_done == 0 then db:add(row.id, 0, 1, {}, { json.encode { 1, 0, reason, "" } }) end
    db:loaded(row.id)
    give_out(db, row, 1)
    db:done(row.id)
    log.warning("rpa1: the file is set aside", { file = file, output = row.output, reason = reason })
  end
  put_away(file, row.output, "rejected")
  return DONE
end

--- One file, under its lock.
local function work(db, file)
  local path = set.INPUT_DIR .. "/" .. file
  local began = clock.monotonic()
  local before = fs.stat(path)
  if not before then return LATER end
  if before.size > set.MAX_FILE_MB * 1024 * 1024 then
    return set_aside(db, file, before, ("it has %d bytes, more than CONTAINER_RPA1_MAX_FILE_MB = %d allows"):format(before.size,
      set.MAX_FILE_MB))
  end
  local sum, unread = checksum(path)
  if not sum then
    if not unread then return STOPPED end
    if unread.code == "enoent" then return LATER end
    return set_aside(db, file, before, "it cannot be read: " .. unread.message)
  end
  local row = register(db, file, sum, before.size)
  row.checksum = sum
  if row.state == "done" then
    log.info("rpa1: the file was done before", { file = file, output = row.output })
    put_away(file, row.output, "processed")
    return DONE
  end
  if row.state == "loading" then
    local result = load(db, file, row, path, began + set.TIMEOUT)
    if result ~= DONE then return result end
  end
  if not unchanged(before, fs.stat(path)) then
    log.warning("rpa1: the file was changed while it was read; the next run begins anew with it", { file = file })
    db:forget(row.id)
    return LATER
  end
  local count = db:loaded(row.id)
  if count.records + count.rejects ~= count.rows_done then
    error(("the table holds %d records and %d rejects, but %d rows were read"):format(count.records, count.rejects,
      count.rows_done), 0)
  end
  give_out(db, row, count.rejects)
  db:done(row.id)
  put_away(file, row.output, "processed")
  log[count.rejects > 0 and "warning" or "info"]("rpa1: the file is done", {
    file = file, output = row.output, records = count.records, rejected = count.rejects, bytes = before.size,
    duration_ms = math.floor((clock.monotonic() - began) * 1000),
  })
  return DONE
end

local database = link.new {
  who = "rpa1", open = function() return rpa1_store.open "rpa_db" end, max_retries = set.MAX_RETRIES,
}

--- One file, again where the database fails in a way that passes.
local function process(file)
  return database:run({ file = file }, function(db)
    if not db:lock(file) then return LATER end
    local came = work(db, file)
    db:unlock(file)
    return came
  end) or STOPPED
end

--- The names of the files to do: complete ones first, then those that were just written.
local function candidates()
  local old, young = {}, {}
  local entries, left_out = fs.list(set.INPUT_DIR)
  if entries and left_out > 0 then
    log.warning("rpa1: files whose names are not UTF-8 are left alone; rename them", { dir = set.INPUT_DIR, files = left_out })
  end
  local no_files = {}
  for _, entry in ipairs(check(entries, left_out)) do
    local name = entry.name
    if name:lower():find "%.csv$" and not name:find "^%." then
      if entry.type == "file" then
        local stat = fs.stat(set.INPUT_DIR .. "/" .. name)
        local list = stat and clock.now() - stat.mtime >= SETTLED_SECONDS and old or young
        list[#list + 1] = name
      else
        no_files[#no_files + 1] = name
      end
    end
  end
  if no_files[1] then
    log.warning("rpa1: links, folders and pipes are left alone", { dir = set.INPUT_DIR, files = #no_files, first = no_files[1] })
  end
  return table.move(young, 1, #young, #old + 1, old)
end

local EXIT_FAILED, EXIT_TEMPORARY = 1, 75

-- With a handler a stop does not end the script: it is asked for between two batches.
for _, name in ipairs { "TERM", "INT" } do
  signal.on(name, function() end)
end

local done, failed, temporary = 0, 0, false
for _, file in ipairs(candidates()) do
  if signal.stopping() then break end
  if settled(set.INPUT_DIR .. "/" .. file) then
    local ok, result = pcall(process, file)
    if not ok then
      failed = failed + 1
      log.error("rpa1: the file failed", { file = file, error = tostring(result) })
      -- a database that is away is away for all files
      temporary = store.passes(result)
      if temporary then break end
    elseif result == DONE then
      done = done + 1
    end
  elseif not signal.stopping() then
    log.debug("rpa1: the file is empty or still being written", { file = file })
  end
end
database:close()
if signal.stopping() then log.info("rpa1: stopped between two batches", { files = done }) end
if failed > 0 then return temporary and EXIT_TEMPORARY or EXIT_FAILED end
return 0
