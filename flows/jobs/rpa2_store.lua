-- The table of flow rpa2. A batch of records is locked, judged and written in one transaction: who ends in between leaves
-- them as they were, and nobody else judges them meanwhile.
local digest = require "jobs.digest"
local store = require "jobs.store"

local LOCK_CLASS = 0x72706132 -- "rpa2", apart from other users of advisory locks

local tables = {
  [[create table if not exists rpa2_records (
    id bigserial primary key,
    payload jsonb not null,
    state text not null default 'waiting' check (state in ('waiting', 'valid', 'invalid')),
    reasons jsonb not null default '[]',
    checked_by text check (checked_by in ('rules', 'service', 'cache')),
    checked_at timestamptz,
    times integer not null default 0,
    created_at timestamptz not null default now())]],
  [[create index if not exists rpa2_records_waiting on rpa2_records (id) where state = 'waiting']],
}

local read = ([[
select id, %s as payload, case when octet_length(payload::text) <= $2 then payload::text end as raw,
  encode(sha256(convert_to($3 || E'\n' || payload::text, 'UTF8')), 'hex') as key
from rpa2_records where id = any($1::bigint[]) order by id]]):format(store.payload_as_texts "$2")

local write = [[
with given as (
  select (e->>0)::bigint as id, (e->>1)::boolean as valid, e->2 as reasons, e->>3 as checked_by
  from jsonb_array_elements($1::jsonb) e),
judged as (
  update rpa2_records r set state = case when g.valid then 'valid' else 'invalid' end, reasons = g.reasons,
    checked_by = g.checked_by, checked_at = now(), times = r.times + 1
  from given g where r.id = g.id and r.state = 'waiting' returning r.id)
select count(*)::int as rows from judged]]

local Store = store.class()

--- What the sessions of a container are called: at most 63 bytes.
local function session_name(who)
  local name = "rpa2 " .. who
  if #name <= 63 and not name:find "[^\x20-\x7e]" then return name end
  local sum = digest.new()
  sum.add(who)
  return "rpa2 " .. sum.hex()
end

--- Opens the connection and makes the table where it is missing.
---@param database string
---@param who string  the container
local function open(database, who)
  local self = store.open {
    class = Store, database = database, lock = LOCK_CLASS, last = "rpa2_records_waiting", tables = tables,
    setup = "set lock_timeout = '5s'", -- a locked table does not keep anybody from stopping
  }
  self:query("select set_config('application_name', $1, false) as name", session_name(who))
  return self
end

--- Begins a transaction with up to `limit` waiting records that nobody else has: their ids.
function Store:take(limit)
  self:query("begin")
  local ids = {}
  for i, row in ipairs(self:query([[select id from rpa2_records where state = 'waiting' order by id limit $1
    for update skip locked]], limit)) do
    ids[i] = row.id
  end
  return ids
end

--- The records: { id, key, payload, raw }; the last two are nil when it has more than `longest` bytes.
---@param endpoint string  a part of the key
function Store:read(ids, longest, endpoint)
  return self:query(read, "{" .. table.concat(ids, ",") .. "}", longest, endpoint)
end

--- Writes what came of records.
---@param ends string[]  JSON of [id, valid, reasons, checked_by]
function Store:write(ends)
  local rows = self:query(write, "[" .. table.concat(ends, ",") .. "]")[1].rows
  if rows ~= #ends then store.overtaken(("%d records were changed meanwhile"):format(#ends - rows)) end
end

function Store:commit() self:query("commit") end

return { open = open, session_name = session_name }
