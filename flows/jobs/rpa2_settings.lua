-- The settings of flow rpa2, for the flow and for its job.
return {
  BATCH_SIZE = { type = "integer", default = 75, min = 1, max = 10000, doc = "Records that are validated in one transaction." },
  VALIDATION_ENDPOINT = { type = "url", doc = "Where records are validated too; without one the flow's own rules decide." },
  CACHE_DIR = { type = "path", default = "${DATA_DIR}/validation_cache", doc = "Where the service's verdicts are kept for a day." },
}
