-- rpa1: file processing. Moves CSV files from the input directory through a table to the output directory.
local database = require "policies.database"
local directory = require "policies.directory"
local ladder = require "policies.ladder"
local prefect = require "policies.prefect"
local resources = require "policies.resources"
local surveyhub = require "policies.surveyhub"

local set = settings.declare(require "jobs.rpa1_settings")

return {
  name = "rpa1",
  summary = "File processing",
  resources = { memory_mb = 512, cpu_percent = 50 },
  directories = { set.OUTPUT_DIR },

  processes = {
    main = {
      command = { "tend", "script", "flows/jobs/rpa1.lua" },
      description = "moves CSV files in batches through a table",
      env = { CONTAINER_FLOW_NAME = "rpa1", CONTAINER_CONFIG_FILE = settings.get "CONTAINER_CONFIG_FILE" },
    },
  },

  dependencies = {
    database.rpa { writable = true },
    directory.readable { name = "rpa1_input_directory", path = set.INPUT_DIR, timeout = 5 },
    prefect.server(),
    surveyhub.host(),
  },

  checks = { database.health(), resources.memory(), resources.disk { name = "output_space", path = set.OUTPUT_DIR } },

  remedies = {
    ladder.database { check = "rpa_database" },
    ladder.memory { check = "memory", escalate = { "restart" } },
    ladder.disk {
      check = "output_space", logs = settings.get "CONTAINER_LOG_DIR",
      temporary = { path = set.OUTPUT_DIR, pattern = ".*.tmp", older_than_s = 3600 },
    },
  },

  cleanup = {
    directory.rotate_logs { name = "log_rotation", path = settings.get "CONTAINER_LOG_DIR" },
    directory.remove_temporary {
      name = "temporary_files", path = set.OUTPUT_DIR, pattern = ".*.tmp", description = "unfinished output files are removed",
    },
    directory.sync { name = "output_directory_sync", path = set.OUTPUT_DIR },
    directory.close_files { name = "file_handles", path = set.OUTPUT_DIR, wait_s = 2, critical = true },
  },
}
