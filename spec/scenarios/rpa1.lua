-- A bad week of rpa1: the database comes late and is gone for ten minutes, the job fails at times, the disk fills up.
return {
  lasts = "7d",
  dependencies = {
    rpa_database = {
      { at = 0, is = "refused", lasts = 30 },
      { at = "2d", is = "timeout", lasts = "10m" },
    },
  },
  checks = {
    output_space = { { at = "3d", is = "full", heals = "rotate_logs" } },
  },
  processes = {
    main = {
      { runs = "1d", exit = 0 },
      { runs = 20, exit = 1, repeats = 2 },
      { runs = "12h", signal = "KILL", oom = true },
    },
  },
  orders = { { at = "6d", signal = "TERM" } },
}
