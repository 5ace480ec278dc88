---@meta

---Cron expressions, and functions run by the wall clock. Five fields: minute, hour, day of the month, month, day of the week (0
---and 7 are Sunday); six: seconds before them. A field is `*`, a number or a name (`jan`, `mon`), a range `1-5`, a step `*/5`, or
---a list of these. Also `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. Where the day of the month and of the week are both
---given one of them is enough. Times are of the container's time zone (TZ), with `utc = true` of UTC: a time that the clock skips
---does not come on that day, one that comes twice counts once unless the hour is `*`.
---
---A process of the plan with `mode = "single"` runs by the clock with `cron.every("30 3 * * *", function() process.start "nightly" end)`.
---@class cron
cron = {}

---A schedule. It has no effect of its own.
---@class tend.cron
local schedule = {}

---When it comes next.
---@param after? number seconds since 1970; now when left out
---@return integer? seconds since 1970; nil: not within ten years
function schedule:next(after) end

---Whether that second is one of its times.
---@param at? number seconds since 1970; now when left out
---@return boolean
function schedule:matches(at) end

---Reads an expression.
---@param expression string
---@param options? { utc?: boolean }
---@return tend.cron?
---@return tend.error? err code "cron", naming the field
function cron.parse(expression, options) end

---@class tend.cron.options
---@field utc? boolean
---@field name? string what it is called in messages
---@field timeout? number seconds that a run may take; none when left out

---A function that waits for its times. It needs no variable that holds it; at the end of its generation of scripts it is gone.
---@class tend.cron.job
local job = {}

---No further run. One that goes on ends by itself.
function job:cancel() end

---When it runs next.
---@return integer? seconds since 1970; nil when it was cancelled
function job:next() end

---Runs the function at the expression's times, each run a task of its own. Runs never overlap, and none is made up for: not one
---that came while another still ran, nor when the clock is set. An error in it is an event `script_error`. Raises for a wrong
---expression. At most 256 jobs at once.
---@param expression string
---@param fn fun()
---@param options? tend.cron.options
---@return tend.cron.job
function cron.every(expression, fn, options) end
