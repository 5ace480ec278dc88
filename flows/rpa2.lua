-- rpa2: data validation. Records in the database are judged by rules, and by a validation service where one is given.
local database = require "policies.database"
local directory = require "policies.directory"
local ladder = require "policies.ladder"
local prefect = require "policies.prefect"
local resources = require "policies.resources"
local service = require "policies.service"
local store = require "jobs.rpa2_store"
local surveyhub = require "policies.surveyhub"

local CACHE_SECONDS = 24 * 3600

local set = settings.declare(require "jobs.rpa2_settings")
local who = settings.get "CONTAINER_WORKER_ID"

--- The validation service, where one is given: 5xx is down, the rest is up.
local function validation_service()
  local url = set.VALIDATION_ENDPOINT
  if url then
    return service.http { name = "validation_service", url = url, status = "100-499", required = false, timeout = 30 }
  end
  return {
    name = "validation_service", kind = "http", params = {}, required = false,
    skip = "CONTAINER_RPA2_VALIDATION_ENDPOINT is not given",
  }
end

--- Sessions that the job left behind on the server are ended.
local function sessions_ended()
  local rows, err = postgres.query("rpa_db", [[select count(pg_terminate_backend(pid)) as ended from pg_stat_activity
    where application_name = $1 and usename = current_user and pid <> pg_backend_pid()]], store.session_name(who))
  if not rows then return false, err.message end
  log.info("rpa2: no session is left", { ended = rows[1].ended })
  return true
end

return {
  name = "rpa2",
  summary = "Data validation",
  resources = { memory_mb = 384, cpu_percent = 40 },
  directories = { set.CACHE_DIR },

  processes = {
    main = {
      command = { "tend", "script", "flows/jobs/rpa2.lua" },
      description = "validates the records that wait, in batches",
      env = {
        CONTAINER_FLOW_NAME = "rpa2", CONTAINER_CONFIG_FILE = settings.get "CONTAINER_CONFIG_FILE", CONTAINER_WORKER_ID = who,
      },
    },
  },

  dependencies = {
    database.rpa { writable = true },
    validation_service(),
    prefect.server(),
    surveyhub.host(),
  },

  checks = { database.health(), resources.memory(), resources.disk { name = "cache_space", path = set.CACHE_DIR } },

  remedies = {
    ladder.database { check = "rpa_database" },
    ladder.memory { check = "memory", escalate = { "restart" } },
    ladder.disk {
      check = "cache_space",
      temporary = {
        { path = set.CACHE_DIR, pattern = ".verdicts-*", older_than_s = 3600 },
        { path = set.CACHE_DIR, pattern = "verdicts-*.jsonl", older_than_s = CACHE_SECONDS },
      },
    },
  },

  cleanup = {
    directory.remove_temporary {
      name = "validation_cache", path = set.CACHE_DIR, pattern = "verdicts-*.jsonl", older_than_s = CACHE_SECONDS,
      description = "verdicts that are a day old are removed",
    },
    directory.remove_temporary {
      name = "temporary_files", path = set.CACHE_DIR, pattern = ".verdicts-*", description = "unfinished files are removed",
    },
    { name = "connection_pool", run = sessions_ended, timeout = 5, critical = true, description = "the job's database sessions are ended" },
  },
}
