-- rpa3: concurrent processing. N workers drain a queue in the database; a coordinator looks after them.
local database = require "policies.database"
local ladder = require "policies.ladder"
local prefect = require "policies.prefect"
local queue = require "jobs.rpa3_store"
local resources = require "policies.resources"
local scale = require "policies.scale"
local surveyhub = require "policies.surveyhub"

local WORKER_MB, LEAST_MB = 128, 768

local SHARED_DIR = "/dev/shm"

local set = settings.declare(require "jobs.rpa3_settings")
local workers = set.CONCURRENT_WORKERS or 1 -- a wrong value is told by the validation
local who = settings.get "CONTAINER_WORKER_ID"

local env = {
  CONTAINER_FLOW_NAME = "rpa3", CONTAINER_CONFIG_FILE = settings.get "CONTAINER_CONFIG_FILE", CONTAINER_WORKER_ID = who,
  CONTAINER_EXECUTION_MODE = settings.get "CONTAINER_EXECUTION_MODE",
}

--- No worker is left.
local function workers_ended()
  local left = {}
  for _, p in ipairs(assert(process.list())) do
    if p.name == "worker" and p.pid then left[#left + 1] = p.pid end
  end
  if left[1] then return false, "workers still run: " .. table.concat(left, ", ") end
  return true
end

--- Rows that wait decide how many workers run, up to those that the container was sized for.
local function workers_by_queue()
  if workers == 1 then return nil end
  return scale.by_backlog {
    max = workers, per_instance = set.BATCH_SIZE or 1, interval = 30,
    backlog = function()
      local rows, err = postgres.query("rpa_db", [[select count(*)::int as rows from (
        select from rpa3_queue where state in ('waiting', 'claimed') limit $1) q]], workers * (set.BATCH_SIZE or 1))
      if not rows then return nil, err end
      return rows[1].rows
    end,
  }
end

--- Files in shared memory that are named after this container are removed.
local function shared_memory_removed()
  local prefix, removed = ("rpa3-%s-"):format(who), 0
  for _, entry in ipairs(assert(fs.list(SHARED_DIR))) do
    if entry.type == "file" and entry.name:sub(1, #prefix) == prefix then
      assert(fs.remove(SHARED_DIR .. "/" .. entry.name))
      removed = removed + 1
    end
  end
  log.info("rpa3: shared memory is removed", { files = removed })
end

--- Rows that this container's workers had claimed wait again.
local function queue_released()
  local ok, failure = pcall(function()
    local db <close> = queue.open("rpa_db", who)
    local total = 0
    while true do
      local rows, held = db:release_dead()
      total = total + rows
      if held == 0 then break end
      timer.sleep(0.1) -- the server sees a moment later that a killed worker's connection is gone
    end
    log.info("rpa3: the queue is released", { rows = total })
  end)
  return ok, tostring(failure)
end

return {
  name = "rpa3",
  summary = "Concurrent processing",
  resources = { memory_mb = math.max(LEAST_MB, WORKER_MB * workers), cpu_percent = 75, cpus = workers },

  processes = {
    main = {
      command = { "tend", "script", "flows/jobs/rpa3.lua" },
      description = "gives rows of dead workers back, ends when the queue is empty",
      env = env,
    },
    worker = {
      command = { "tend", "script", "flows/jobs/rpa3_worker.lua" },
      description = "takes rows from the queue in batches",
      instances = workers,
      essential = true,
      scale = workers_by_queue(),
      env = env,
    },
  },

  dependencies = {
    database.rpa { writable = true },
    resources.available {
      name = "concurrent_processing", cpus = workers, memory_mb = WORKER_MB * workers,
      hint = ("give the container more, or set CONTAINER_RPA3_CONCURRENT_WORKERS (%d): each worker needs a CPU and %d MB"):format(
        workers, WORKER_MB),
    },
    prefect.server(),
    surveyhub.host(),
  },

  checks = { database.health(), resources.memory() },

  remedies = {
    ladder.database { check = "rpa_database" },
    ladder.memory { check = "memory", process = "worker", escalate = { "restart" } },
  },

  cleanup = {
    { name = "shared_memory", run = shared_memory_removed, timeout = 5, description = SHARED_DIR .. ("/rpa3-%s-* is removed"):format(who) },
    { name = "processing_queue", run = queue_released, timeout = 5, description = "rows of ended workers wait again" },
    { name = "worker_termination", run = workers_ended, timeout = 2, critical = true, description = "no worker is left" },
  },
}
