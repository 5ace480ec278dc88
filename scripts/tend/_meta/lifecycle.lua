---@meta

---The container's life: checks and handlers added by calls (the same as entries of the flow's table), numbers, report.
---@class lifecycle
lifecycle = {}

---@class tend.dependency
---@field name? string added_dependency_1 … when left out
---@field check_function fun(): boolean|nil, any true: ready. Also named `check` or `fn`
---@field timeout_seconds? number its whole wait. Also named `timeout`
---@field interval? number seconds between attempts
---@field required? boolean
---@field description? string

---Adds a dependency check to the plan. Only while the flow file loads.
---@param dependency tend.dependency|fun(): boolean|nil, any
function lifecycle.add_dependency_check(dependency) end

---@class tend.cleanup
---@field name? string added_handler_1 … when left out
---@field handler fun() also named `run` or `fn`
---@field timeout? number seconds
---@field critical? boolean runs first
---@field description? string

---Adds a cleanup handler to the plan. Only while the flow file loads.
---@param handler tend.cleanup|fun()
function lifecycle.add_cleanup_handler(handler) end

---The lifecycle counters: startup_count, successful_startups, failed_startups, graceful_shutdowns, …
---@return table<string, any>? metrics
---@return tend.error? err "unavailable" without an engine
function lifecycle.get_lifecycle_metrics() end

---The report as a table; written to the path, replaced atomically, where one is given.
---@async
---@param path? string
---@return table? report
---@return tend.error? err
function lifecycle.export_lifecycle_report(path) end

---What `tend status --json` shows.
---@return table? status
---@return tend.error? err "unavailable" without an engine
function lifecycle.status() end
