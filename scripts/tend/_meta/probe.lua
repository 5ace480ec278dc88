---@meta

---One attempt at finding out whether something is there. Never longer than its timeout (10 s when none is given). Wrong
---parameters raise. A text alone stands for the parameter that matters most: `probe.http "http://localhost/"`,
---`probe.tcp "db:5432"`, `probe.file "/tmp/beat"`.
---
---A file `probes/NAME.lua` or `probes/NAME.so` in the scripts directory makes a kind, and a function `probe.NAME`, of one's own
---([probes.md](probes.md)).
---@class probe
probe = {}

---@class tend.probe.result
---@field ok boolean status is "ok" or "warn"
---@field status "ok"|"warn"|"fail"|"unknown"
---@field reason string "" or a stable word: "dns", "refused", "timeout", "tls", … (docs/events.md, `tend explain WORD`)
---@field detail string for people
---@field seconds number how long it took
---@field data? table facts that the kind found; each probe lists its own

---TCP connects. Facts: `address` that answered, `response_ms`.
---@async
---@param params { host: string, port: integer, timeout?: number }
---@return tend.probe.result
function probe.tcp(params) end

---The name resolves. Facts: `addresses`, with ", " between.
---@async
---@param params { host: string, timeout?: number }
---@return tend.probe.result
function probe.dns(params) end

---@class tend.probe.file
---@field path string
---@field readable? boolean true when left out
---@field writable? boolean
---@field executable? boolean
---@field non_empty? boolean
---@field min_size? integer bytes
---@field max_age? number|string seconds since it was modified, or "10m"
---@field timeout? number

---A file is there and can be used as asked. Facts: `size` in bytes, `age_s` since it was modified.
---@async
---@param params tend.probe.file
---@return tend.probe.result
function probe.file(params) end

---@class tend.probe.directory
---@field path string
---@field readable? boolean true when left out
---@field writable? boolean
---@field non_empty? boolean it holds an entry
---@field max_age? number|string seconds since an entry was made or removed
---@field timeout? number

---A directory is there and can be used as asked. Facts: `size` of the directory itself, `age_s`.
---@async
---@param params tend.probe.directory
---@return tend.probe.result
function probe.directory(params) end

---@class tend.probe.command
---@field command string|string[] a shell line, or the program and its arguments
---@field cwd? string
---@field user? string
---@field exits? table<string, string> what exit codes mean: { ["1"] = "warn" }; else 0 is ok
---@field timeout? number

---A command ends with 0. Facts: `exit_code`, `output`: the last of what it said.
---@async
---@param params tend.probe.command
---@return tend.probe.result
function probe.command(params) end

---Something listens on a Unix socket.
---@async
---@param params { path: string, timeout?: number }
---@return tend.probe.result
function probe.unix(params) end

---@class tend.probe.process
---@field process? string a process of the plan
---@field instances? integer of the plan's process: so many are up at least; as many as are to be when left out
---@field min_uptime? number|string of the plan's process: up for so long at least; reason "young" where it is not
---@field pid_file? string the file with the process's number
---@field name? string the process's name, as `ps -o comm` shows it; with pid_file, what it must be
---@field timeout? number

---A process is up: one of the plan, or any that is alive, found by its pid file or by its name; with both, the process of the
---pid file must have that name. Facts of the plan's: `running`, `instances`, `pid` and `uptime_s` of the one that came up last;
---of others: `pid`, `name`.
---@async
---@param params tend.probe.process
---@return tend.probe.result
function probe.process(params) end

---@class tend.probe.resource
---@field cpus? integer that tend may use
---@field memory_mb? integer available, within the container's limit
---@field disk_mb? integer that tend's user may still fill at path
---@field path? string "/" when left out
---@field descriptors? integer that a process may have open
---@field connections? integer TCP connections of the container's network at most; what only listens is none
---@field connection_state? "established"|"opening"|"closing"|"close_wait"|"time_wait" only these count
---@field hint? string what to do where it is not there; ends the detail
---@field timeout? number

---At least so much is there, and at most so many connections; reason "resource" where it is not. Facts: what was asked for, as it
---is: `cpus`, `memory_mb`, `disk_mb`, `descriptors`, `connections`.
---@async
---@param params tend.probe.resource
---@return tend.probe.result
function probe.resource(params) end

---@class tend.probe.usage
---@field of "memory"|"cpu"|"tasks"|"cpu_pressure"|"memory_pressure"|"io_pressure"|"disk"|"inodes"|"descriptors"|"oom_kills"
---@field warn? integer percent (of oom_kills: how many since tend's start) from which it is a warning
---@field fail? integer percent from which it is a failure
---@field path? string of disk and inodes: what lies on the file system; "/" when left out
---@field timeout? number

---Not more than so much is in use, of the container's limits, or of the machine where it has none; reason "usage" where
---it is. CPU is measured between two attempts, pressure is the share of the last 10 s in which something waited, of
---descriptors the process counts that is nearest to its own limit. What cannot be known here is `unknown`. Facts: `percent` (of
---oom_kills `count`); `used` and `most` where they are numbers of their own, memory in MB.
---@async
---@param params tend.probe.usage
---@return tend.probe.result
function probe.usage(params) end

---A process of the plan has put out something lately; reason "silent" where it has not, "missing" where it was never started.
---Silence counts from its start or its last byte. Facts: `silent_s`.
---@async
---@param params { process: string, instance?: integer, after: number|string, timeout?: number }
---@return tend.probe.result
function probe.silence(params) end

---@class tend.probe.postgres
---@field conninfo? string connection string, URI or keywords
---@field setting? string or the setting that holds it
---@field query? string that must not fail; "SELECT 1" when left out
---@field writable? boolean a standby or a read-only database is not good enough
---@field slow? number|string an answer that takes longer is a warning
---@field pool? integer borrows a connection of the pool of at most so many, in place of a new one
---@field pool_max_age? number|string so old a connection of the pool becomes
---@field timeout? number

---A PostgreSQL server lets us in and answers a query. Facts: `response_ms` of the query, `connect_ms`, `server_version`,
---`address`; where the database has a pool `pool_size`, `pool_idle`, `pool_used`, `pool_waiting`, `pool_oldest_s`.
---@async
---@param params tend.probe.postgres
---@return tend.probe.result
function probe.postgres(params) end

---@class tend.probe.http
---@field url string "http://HOST[:PORT]/PATH" or https
---@field method? string GET, with a body POST
---@field headers? table<string, string>|string[] { Name = "value" }, or a list of "Name: value"
---@field body? string what is sent
---@field status? integer|string|(integer|string)[] good ones: 200, "200-299", "2xx", or a list of these; "200-299" when left out
---@field equals? string the answer, without white space around it
---@field contains? string the answer holds it
---@field json? table<string, string|number|boolean> fields of the answer by their path: { ["database.connected"] = true }
---@field ca_file? string CA of the server's certificate, in place of the system's; PEM
---@field cert_file? string our certificate, PEM
---@field key_file? string its key, where it is not in cert_file
---@field insecure? boolean the server's certificate is not checked; a warning says so
---@field proxy? string "http://HOST:PORT"; the environment's are not used
---@field redirects? integer how many are followed (0 to 3), to the same scheme, host and port; 0 when left out
---@field timeout? number

---An HTTP or HTTPS server gives a good answer; at most 10 KiB of it are read. Reasons beside those of connections: "tls"
---(the detail says which check), "protocol", "closed", "too_large" (headers), "status", "body". Facts: `status`, `response_ms`,
---`connect_ms`, `address`.
---@async
---@param params tend.probe.http
---@return tend.probe.result
function probe.http(params) end

---@class tend.probe.results: tend.probe.result
---@field results (tend.probe.result|false)[] of each probe in the order given; false for one that was not waited for

---All probes at once; it is as good as the worst of them, whose reason it has. The detail tells of all that are not good.
---A probe is its kind and its parameters: `probe.all { { "tcp", host = "db", port = 5432 }, { "dns", host = "hub", timeout = 2 } }`;
---`name` is what the detail calls it (but of a process it is a parameter).
---@async
---@param list table[] up to 256
---@return tend.probe.results
function probe.all(list) end

---All probes at once, until the first that is good; the others are given up then.
---@async
---@param list table[] up to 256
---@return tend.probe.results
function probe.any(list) end

---A kind by its name, also one of a part that has no function here.
---@async
---@param kind string
---@param params table
---@return tend.probe.result
function probe.run(kind, params) end
