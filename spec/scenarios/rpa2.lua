-- rpa2 in a night: memory fills up until the process is restarted, and the database refuses for so long that the job, which
-- cannot go on without it, ends and comes back with it.
return {
  lasts = "12h",
  dependencies = { rpa_database = { { at = "4h", is = "refused", lasts = "3m" } } },
  checks = { memory = { { at = "1h", is = "memory", heals = "restart" } } },
  processes = {
    main = {
      {},
      { runs = "2h", exit = 0 },
      { runs = "55m", exit = 69, repeats = 2 },
    },
  },
  remedies = { collect = "failed", slow_checks = "skipped" },
}
