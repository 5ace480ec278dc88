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

---A command that goes on. What it has put out is kept as of process.run. `local c <close> = assert(process.spawn { … })` ends it
---with the block; one that is let go of is ended by the collector at some time, each at the end of its generation of scripts.
---@class tend.child
local child = {}

---Waits for its end. More than once gives the same.
---@async
---@param timeout? number seconds; without one until its end
---@return tend.process.result?
---@return tend.error? err "running" after that time, it goes on; "timeout" where its own was over; else why it was not started
function child:wait(timeout) end

---Sends a signal to it and all it has started in its process group.
---@param signal string|integer
---@return true?
---@return tend.error? err "ended", "closed"
function child:signal(signal) end

---What it has put out so far, standard output and error together, at most 64 KiB.
---@return string?
---@return tend.error? err "closed"
function child:output() end

---Whether it has not ended.
---@return boolean
function child:running() end

---Its process number, once it was started; nil after its end.
---@return integer?
function child:pid() end

---Kills it where it still runs, and forgets it. More than once does nothing.
function child:close() end

---Starts a command and goes on. Not while a flow file loads. Without `timeout` it may run as long as its generation lives. At
---most 64 at once, those that have ended and were not closed included.
---@param command tend.process.command
---@return tend.child?
---@return tend.error? err "unavailable", "busy", "start"; what fails later `wait` tells
function process.spawn(command) end

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

---Starts a process of the plan that was stopped, as `tend start` does, with the same audit.
---@async
---@param name string
---@param options? { wait?: boolean } false: without waiting for the outcome
---@return true?
---@return tend.error? err "refused" with the reason, "unavailable" without an engine
function process.start(name, options) end

---Stops a process of the plan, as `tend stop`. Not from a hook that the stop waits for.
---@async
---@param name string
---@param options? { wait?: boolean }
---@return true?
---@return tend.error? err
function process.stop(name, options) end

---Stops and starts a process of the plan, as `tend restart`.
---@async
---@param name string
---@param options? { wait?: boolean }
---@return true?
---@return tend.error? err
function process.restart(name, options) end

---Sends a signal to a process of the plan: to each instance that is up.
---@param name string
---@param signal string|integer
---@param options? { instance?: integer, group?: boolean } one of them; its whole process group
---@return integer? count to how many it was sent
---@return tend.error? err "unknown", "unavailable"
function process.signal(name, signal, options) end

---The last output of a process of the plan, at most 64 KiB of each instance.
---@async
---@param name string
---@param options? { instance?: integer, lines?: integer } one of them; the last lines only
---@return string?
---@return tend.error? err "unknown", "unavailable"
function process.output(name, options) end
