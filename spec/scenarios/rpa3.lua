-- rpa3 with four workers at most (CONTAINER_RPA3_CONCURRENT_WORKERS=4): the backlog comes and goes, a worker is killed now
-- and then, another crashes until its restarts are used up, which ends the container: workers are essential.
return {
  lasts = "1d",
  scale = {
    worker = {
      { at = 0, is = 1 },
      { at = "1h", is = 4, lasts = "1h" },
      { at = "5h", is = 9 },
    },
  },
  processes = {
    ["worker/0"] = { { runs = "3h", signal = "KILL", oom = true, repeats = true } },
    ["worker/1"] = { {}, { runs = "10h" , exit = 7 }, { runs = 5, exit = 7, repeats = true } },
  },
}
