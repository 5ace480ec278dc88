---@meta

---What the prompt has besides what flows use: read by its help, and nowhere else.

---Help for a function, a module, or a name: help(probe.http), help "probe.http", help(fs). Without one: the overview.
---@param x? any
function help(x) end

---Prints a value whole, however long.
---@param x any
function show(x) end

---Prints to this prompt.
---@param ... any
function print(...) end

---The whole status of the engine: what runs, since when, what is wrong, what comes next.
---@async
---@return table? status
---@return tend.error? err
function status() end

---The verdict, and the reasons for it.
---@async
---@return table? health
---@return tend.error? err
function health() end

---Why the engine is in its present state, as a chain of causes.
---@async
---@return table? why
---@return tend.error? err
function why() end

---The whole report, as the file in the log directory has it.
---@async
---@return table? report
---@return tend.error? err
function report() end

---The last events (20).
---@async
---@param options? { last?: integer, level?: string }
---@return table[]? events
---@return tend.error? err
function events(options) end

---The last output of a process; of the main one without a name.
---@async
---@param process? string|table
---@return string? text
---@return tend.error? err
function logs(process) end

---Starts what was stopped, as `tend start`; without a name all. Waits for the outcome.
---@async
---@param process? string|table
---@return string? done
---@return tend.error? err
function start(process) end

---Stops, as `tend stop`; tend stays. Waits for the outcome.
---@async
---@param process? string|table
---@return string? done
---@return tend.error? err
function stop(process) end

---Stops and starts again, as `tend restart`. Waits for the outcome.
---@async
---@param process? string|table
---@return string? done
---@return tend.error? err
function restart(process) end

---Stops everything in order and ends tend, and with it this session.
---@async
function shutdown() end

---Loads flow and scripts anew, as `tend reload`.
---@async
---@return any done
---@return tend.error? err
function reload() end

---Runs a remedy of the flow, or one of its steps, now.
---@async
---@param action string
---@param options? { dry_run?: boolean }
---@return any done
---@return tend.error? err
function remediate(action, options) end

---In maintenance checks run and remedies do not.
---@async
---@param on boolean
---@param lasts? string "30m"; without: until it is turned off
---@return any done
---@return tend.error? err
function maintenance(on, lasts) end

---Runs a check or dependency once, beside its schedule.
---@async
---@param check string|table
---@return table? result
---@return tend.error? err
function check_now(check) end

---Any operation of the control socket by its name.
---@async
---@param name string
---@param args? table
---@return any value
---@return tend.error? err
function op(name, args) end

---A setting by hand, over what files and command line say, until undo(), or tend ends; without a value: as they say. Checked and
---taken over as by a reload, or refused whole.
---@async
---@param name string one that a reload may change
---@param value? string|number|boolean
---@return string? done
---@return tend.error? err
function set(name, value) end

---Takes back what was changed by hand.
---@async
---@return string? done
---@return tend.error? err
function undo() end

---Prints what was changed by hand, as Lua that could go into the flow, with what the files say.
---@async
function delta() end

---Prints what is asked about now and whenever it changes, until Ctrl-C. Of "events" each one.
---@async
---@param what string|function "health", "status", "metrics", "why", "report", "events", a process, or a function that gives a value
---@param seconds? number between two looks; 1
function watch(what, seconds) end

---Runs a function, or a chunk, with every effect listed in place of done: commands, signals, files written, requests other than
---GET, statements that change, operations of the control socket.
---@async
---@param what function|string
---@return string[] effects in order
function dry(what) end

---The processes of the plan by name: fields as in `tend status --json`, and start, stop, restart, logs as methods.
---@class processes
processes = {}

---The health checks by name, with their last results; `checks.NAME:run()` runs one now.
---@class checks
checks = {}

---The dependencies by name, with their last results; `dependencies.NAME:run()` asks one now.
---@class dependencies
dependencies = {}
