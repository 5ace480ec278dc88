---@meta

---Events: those of the engine, which the log shows ([events.md](events.md) lists them), and a script's own. The last 1,000 are kept,
---of level INFO and above.
---@class event
event = {}

---@class tend.event
---@field seq integer its number, from 1, growing
---@field time number seconds since 1970
---@field timestamp string the same as the log has it
---@field level "DEBUG"|"INFO"|"WARNING"|"ERROR"|"CRITICAL"
---@field component string
---@field event string its name
---@field message? string
---@field seconds? number how long what it tells of has taken
---@field details table<string, any>

---An event of the script's own: a log line of that name, component `script`. It reaches subscribers as any other.
---@param name string small letters, digits and _; not one of tend's own
---@param details? table<string, any>
---@param options? { message?: string, level?: string } level "INFO" when left out
---@return true?
---@return tend.error? err "busy": more than 50 a second, or 32 in one call of a subscriber
function event.emit(name, details, options) end

---What was subscribed. It needs no variable that holds it; at the end of its generation of scripts it is gone.
---@class tend.subscription
local subscription = {}

---No further call. One that goes on ends by itself.
function subscription:cancel() end

---Calls the function for each event of that name, from now on, one after the other as tasks of their own. Where it is slower than
---events come those that are not kept any more are passed over. What it emits itself does not come back to it. At most 64 at once.
---@param name string|string[] up to 16; "*" for all
---@param fn fun(event: tend.event)
---@param options? { timeout?: number } seconds of one call; 10 when left out
---@return tend.subscription
function event.subscribe(name, fn, options) end

---Waits for the next event of that name.
---@async
---@param name string|string[] up to 16; "*" for all
---@param timeout? number seconds; without one as long as the task lives
---@return tend.event?
---@return tend.error? err "timeout"; "unavailable" where there are no events
function event.wait(name, timeout) end

---The events that are kept, the oldest first.
---@param options? { name?: string|string[], since?: integer, max?: integer } after that `seq`; at most so many, the last ones
---@return tend.event[]
function event.list(options) end
