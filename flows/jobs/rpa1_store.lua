-- The tables of flow rpa1: which file is how far, its records, and what could not be read.
--
-- A file is its name and its content. Its rows are numbered, each batch of them and the file's progress go in by one
-- statement, so whoever comes next finds exactly how far it is. A file is worked on by who holds its lock.
local store = require "jobs.store"

local LOCK_CLASS = 0x72706131 -- "rpa1", apart from other users of advisory locks

local STEM_MAX = 180

local tables = {
  [[create table if not exists rpa1_files (
    id bigserial primary key,
    name text not null,
    checksum text not null,
    size bigint not null,
    output text not null unique,
    header jsonb,
    state text not null default 'loading' check (state in ('loading', 'loaded', 'done')),
    rows_done bigint not null default 0,
    created_at timestamptz not null default now(),
    done_at timestamptz,
    unique (name, checksum))]],
  [[create table if not exists rpa1_records (
    file_id bigint not null references rpa1_files on delete cascade,
    row_no bigint not null,
    fields jsonb not null,
    primary key (file_id, row_no))]],
  [[create table if not exists rpa1_rejects (
    file_id bigint not null references rpa1_files on delete cascade,
    row_no bigint not null,
    line bigint not null,
    reason text not null,
    raw bytea not null,
    primary key (file_id, row_no))]],
}

local add_batch = [[
with file as (
  update rpa1_files set rows_done = $2 where id = $1 and rows_done = $3 and state = 'loading' returning id),
records as (
  insert into rpa1_records (file_id, row_no, fields)
  select file.id, (r->>0)::bigint, r->1 from file, jsonb_array_elements($4::jsonb) r),
rejects as (
  insert into rpa1_rejects (file_id, row_no, line, reason, raw)
  select file.id, (r->>0)::bigint, (r->>1)::bigint, r->>2, decode(r->>3, 'hex')
  from file, jsonb_array_elements($5::jsonb) r)
select count(*)::int as files from file]]

local byte_of = {}
for byte = 0, 255 do byte_of[("%02x"):format(byte)] = string.char(byte) end

local Store = store.class()

--- Raises that somebody else has gone on with a file.
local function overtaken() store.overtaken "another instance has gone on with the file" end

--- Opens the connection and makes the tables where they are missing.
---@param database string
local function open(database)
  return store.open {
    class = Store, database = database, lock = LOCK_CLASS, last = "rpa1_rejects", tables = tables,
    setup = "set lock_timeout = '5s'", -- a locked table does not keep anybody from stopping
  }
end

--- Takes the lock of a file's name, which ends with the connection; false when somebody has it.
function Store:lock(name)
  return self:query("select pg_try_advisory_lock($1::int, hashtext($2)) as locked", LOCK_CLASS, name)[1].locked
end

function Store:unlock(name)
  self:query("select pg_advisory_unlock($1::int, hashtext($2)) as unlocked", LOCK_CLASS, name)
end

local find = "select id, state, rows_done, output, header::text as header from rpa1_files where name = $1 and checksum = $2"

--- The row of a file, made when there is none. taken(output) says whether a file of that name is there already.
---@return table  id, state, rows_done, output, header
function Store:register(name, checksum, size, taken)
  local row = self:query(find, name, checksum)[1]
  if row then return row end
  -- what was begun of an earlier content of that name was never given out
  self:query("delete from rpa1_files where name = $1 and state <> 'done'", name)
  local stem, extension = name:match "^(.+)(%.[^.]*)$"
  stem, extension = stem or name, extension or ""
  -- with a number it is still a file's name
  stem = stem:sub(1, (utf8.offset(stem, 0, math.min(#stem + 1, STEM_MAX + 1)) or 1) - 1)
  local id = self:query("select nextval('rpa1_files_id_seq') as id")[1].id
  for attempt = 0, 99 do
    local output = attempt == 0 and name or attempt == 1 and ("%s-%d%s"):format(stem, id, extension)
      or ("%s-%d-%d%s"):format(stem, id, attempt, extension)
    if not taken(output) then
      local made = self:query([[insert into rpa1_files (id, name, checksum, size, output) values ($1, $2, $3, $4, $5)
        on conflict do nothing returning id]], id, name, checksum, size, output)
      if made[1] then break end
    end
  end
  return self:query(find, name, checksum)[1] or overtaken()
end

--- Forgets a file that is not done, with all its rows.
function Store:forget(id)
  self:query("delete from rpa1_files where id = $1 and state <> 'done'", id)
end

--- Keeps the header of the output; returns it as JSON.
function Store:set_header(id, header)
  local text = json.encode(header)
  self:query("update rpa1_files set header = $2::jsonb where id = $1 and header is null", id, text)
  return text
end

--- Puts rows from+1 to upto into the tables, all or nothing.
---@param records string[]  JSON of [row_no, fields]
---@param rejects string[]  JSON of [row_no, line, reason, raw as hex]
function Store:add(id, from, upto, records, rejects)
  local done = self:query(add_batch, id, upto, from, "[" .. table.concat(records, ",") .. "]",
    "[" .. table.concat(rejects, ",") .. "]")
  if done[1].files ~= 1 then overtaken() end
end

--- All rows are in: how many of each kind.
function Store:loaded(id)
  self:query("update rpa1_files set state = 'loaded' where id = $1 and state = 'loading'", id)
  return self:query([[select rows_done, (select count(*) from rpa1_records where file_id = $1) as records,
    (select count(*) from rpa1_rejects where file_id = $1) as rejects from rpa1_files where id = $1]], id)[1] or overtaken()
end

--- The fields of each record in their order.
function Store:records(id)
  local last, rows, i = 0, {}, 0
  return function()
    i = i + 1
    if not rows[i] then
      rows, i = self:query([[select row_no, fields::text as fields from rpa1_records where file_id = $1 and row_no > $2
        order by row_no limit 500]], id, last), 1
      if not rows[1] then return nil end
      last = rows[#rows].row_no
    end
    return json.decode(rows[i].fields)
  end
end

--- What could not be read: { row_no, line, reason, raw }, in its order.
function Store:rejects(id)
  local last, rows, i = 0, {}, 0
  return function()
    i = i + 1
    if not rows[i] then
      rows, i = self:query([[select row_no, line, reason, encode(raw, 'hex') as raw from rpa1_rejects
        where file_id = $1 and row_no > $2 order by row_no limit 100]], id, last), 1
      if not rows[1] then return nil end
      last = rows[#rows].row_no
    end
    local row = rows[i]
    row.raw = row.raw:gsub("%x%x", byte_of)
    return row
  end
end

function Store:done(id)
  self:query("update rpa1_files set state = 'done', done_at = now() where id = $1 and state = 'loaded'", id)
end

return { open = open }
