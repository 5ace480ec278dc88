-- The settings of flow rpa3, for the flow and for its jobs.
return {
  CONCURRENT_WORKERS = { type = "integer", default = 4, min = 1, max = 256,
    doc = "Workers at a time; each needs a CPU and 128 MB." },
  BATCH_SIZE = { type = "integer", default = 150, min = 1, max = 10000, doc = "Rows that a worker takes from the queue at once." },
}
