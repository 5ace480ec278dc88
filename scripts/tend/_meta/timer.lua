---@meta

---Waiting, and functions run later. What runs later is a task of its own; it needs no variable that holds it.
---@class timer
timer = {}

---A function that waits for its time. It needs no variable that holds it; at the end of its generation of scripts it is gone.
---@class tend.timer
local handle = {}

---No further run. One that goes on ends by itself.
function handle:cancel() end

---Waits; everything else goes on meanwhile.
---@async
---@param seconds number 0 or more
function timer.sleep(seconds) end

---Runs the function once. An error in it is an event `script_error`.
---@param seconds number
---@param fn fun()
---@return tend.timer
function timer.after(seconds, fn) end

---Runs the function again and again, by the clock. Runs never overlap; those that were missed are not made up for.
---@param seconds number 0.001 or more
---@param fn fun()
---@return tend.timer
function timer.every(seconds, fn) end
