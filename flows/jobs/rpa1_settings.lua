-- The settings of flow rpa1, for the flow and for its job.
return {
  BATCH_SIZE = { type = "integer", default = 25, min = 1, max = 10000, doc = "Rows that go into the table at once." },
  MAX_RETRIES = { type = "integer", default = 3, min = 0, max = 100, doc = "Tries after the database failed in a way that can pass." },
  TIMEOUT = { type = "duration", default = 300, min = 1, unit = "s",
    doc = "The longest time for one file; the rest of it is the next run's." },
  MAX_FILE_MB = { type = "integer", default = 1024, min = 1, max = 1048576, doc = "A larger file is set aside, unread." },
  INPUT_DIR = { type = "path", default = "${DATA_DIR}/input", doc = "Where the CSV files come in. It is never made." },
  OUTPUT_DIR = { type = "path", default = "${OUTPUT_DIR}/rpa1", doc = "Where the finished files go." },
}
