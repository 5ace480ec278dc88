---@meta

---Commands, and the plan's processes.
---@class process
process = {}

---@class tend.process.command
---@field [integer] string the words of the command; the first one "tend" is the running binary
---@field timeout? number seconds until it is killed; 60 in a flow, none in a script; 0: none
---@field cwd? string
---@field env? table<string, string|number> over tend's own environment
---@field user? string name or uid, optionally ":group"
---@field input? string its standard input; else that is empty
---@field name? string what it is called in messages

---@class tend.process.result
---@field code integer exit code, 128 + N after signal N
---@field ok boolean code is 0
---@field signal? string name of the signal that ended it
---@field output string standard output and error together, at most 64 KiB
---@field cut boolean there was more output
---@field seconds number how long it ran

---Runs a command to its end. It is a helper of tend's: when its task is cancelled, or tend ends, it is killed.
---@async
---@param command tend.process.command
---@return tend.process.result? result
---@return tend.error? err "timeout", or where the start failed: "exec", "cwd", "user", "fork", "limit", …
function process.run(command) end

---The processes of the plan with their states.
---@return table[]? processes each with name, state, …
---@return tend.error? err "unavailable" without an engine
function process.list() end

---One process of the plan.
---@param name string
---@return table? process
---@return tend.error? err "unknown", "unavailable"
function process.get(name) end

---What the engine knows, as tables: "metrics", "report", "status".
---@param what string
---@return table? answer
---@return tend.error? err "unavailable" without an engine
function process.ask(what) end
