-- The tables of flow rpa3: the queue, and the results.
--
-- A worker's session has a number of its own and holds the lock of that number as long as it lives. It claims rows by
-- writing that number into them; a claim whose lock nobody holds is a dead worker's. A result goes in by the statement
-- that ends the row, and only for whoever still has the claim: so a row is done once, or is there for the next.
local store = require "jobs.store"

local LOCK_CLASS = 0x72706133 -- "rpa3", apart from other users of advisory locks

local tables = {
  [[create sequence if not exists rpa3_sessions as integer cycle]],
  [[create table if not exists rpa3_queue (
    id bigserial primary key,
    payload jsonb not null,
    state text not null default 'waiting' check (state in ('waiting', 'claimed', 'done', 'failed')),
    claim integer,
    claimed_by text,
    error text,
    created_at timestamptz not null default now(),
    ended_at timestamptz,
    check ((state = 'claimed') = (claim is not null)))]],
  [[create index if not exists rpa3_queue_waiting on rpa3_queue (id) where state = 'waiting']],
  [[create index if not exists rpa3_queue_claimed on rpa3_queue (claim, id) where state = 'claimed']],
  [[create table if not exists rpa3_results (
    queue_id bigint primary key references rpa3_queue,
    result jsonb not null,
    worker text not null,
    times integer not null default 1,
    created_at timestamptz not null default now())]],
}

local claim = [[
update rpa3_queue set state = 'claimed', claim = $1, claimed_by = $2 where id in (
  select id from rpa3_queue where state = 'waiting' order by id limit $3 for update skip locked)
returning id]]

local claimed = ([[
select id, %s as payload from rpa3_queue where state = 'claimed' and claim = $1 order by id limit $2]])
  :format(store.payload_as_texts "$3")

local finish = [[
with given as (select (e->>0)::bigint as id, e->1 as result, e->>2 as error from jsonb_array_elements($2::jsonb) e),
ended as (
  update rpa3_queue q set state = case when g.error is null then 'done' else 'failed' end, error = g.error, claim = null,
    ended_at = now()
  from given g where q.id = g.id and q.state = 'claimed' and q.claim = $1 returning q.id),
results as (
  insert into rpa3_results (queue_id, result, worker)
  select g.id, g.result, $3 from given g join ended using (id) where g.error is null
  on conflict (queue_id) do update set result = excluded.result, worker = excluded.worker, created_at = now(),
    times = rpa3_results.times + 1)
select count(*)::int as rows from ended]]

-- The claims whose lock nobody holds; claims are taken under the lock, so what is seen here without it stays without it.
local release_dead = [[
with claims as materialized (select distinct claim, claimed_by from rpa3_queue where state = 'claimed'),
dead as materialized (
  select claim, claimed_by from claims c where not exists (
    select from pg_locks l where l.locktype = 'advisory' and l.granted and l.objsubid = 2 and l.classid = $1::int::oid
      and l.objid = c.claim::oid and l.database = (select oid from pg_database where datname = current_database()))),
released as (
  update rpa3_queue q set state = 'waiting', claim = null, claimed_by = null from dead d
  where q.state = 'claimed' and q.claim = d.claim returning q.id)
select (select count(*) from released)::int as rows,
  (select count(*) from claims where claimed_by = $2 and claim not in (select claim from dead))::int as held]]

local Store = store.class()

--- Opens the connection and makes the tables where they are missing.
---@param database string
---@param who string  the container, for those who look at the table
local function open(database, who)
  local self = store.open {
    class = Store, database = database, lock = LOCK_CLASS, last = "rpa3_results", tables = tables,
    setup = "set lock_timeout = '5s'", -- a locked table does not keep anybody from stopping
  }
  self.who = who
  return self
end

--- Becomes a session that can claim.
function Store:enter()
  if self.number then return end
  local number = self:query("select nextval('rpa3_sessions')::int as number")[1].number
  if not self:query("select pg_try_advisory_lock($1::int, $2::int) as locked", LOCK_CLASS, number)[1].locked then
    store.overtaken(("session %d is somebody else's"):format(number))
  end
  self.number = number
end

--- Takes up to `limit` waiting rows: how many.
function Store:claim(limit)
  self:enter()
  return #self:query(claim, self.number, self.who, limit)
end

--- Rows of one's own claim: { id, payload }; payload is nil when it has more than `longest` bytes.
function Store:claimed(limit, longest)
  return self:query(claimed, self.number, limit, longest)
end

--- Ends rows of one's own claim, all or none of them.
---@param ends string[]  JSON of [id, result, error or null]
function Store:finish(ends)
  local rows = self:query(finish, self.number, "[" .. table.concat(ends, ",") .. "]", ("%s/%d"):format(self.who, self.number))[1].rows
  if rows ~= #ends then store.overtaken(("the claim of %d rows was lost"):format(#ends - rows)) end
end

--- Gives back what is left of one's own claim.
function Store:give_back()
  self:query([[update rpa3_queue set state = 'waiting', claim = null, claimed_by = null
    where state = 'claimed' and claim = $1]], self.number)
end

--- Gives back what dead sessions claimed: how many rows, and how many claims of this container are of living ones.
function Store:release_dead()
  local row = self:query(release_dead, LOCK_CLASS, self.who)[1]
  return row.rows, row.held
end

--- True when no row is waiting or claimed.
function Store:drained()
  return not self:query([[select exists (select from rpa3_queue where state = 'waiting')
    or exists (select from rpa3_queue where state = 'claimed') as open]])[1].open
end

--- How many rows wait, and how many are claimed.
function Store:counts()
  return self:query([[select (select count(*) from rpa3_queue where state = 'waiting') as waiting,
    (select count(*) from rpa3_queue where state = 'claimed') as claimed]])[1]
end

return { open = open }
