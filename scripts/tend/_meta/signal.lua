---@meta

---Signals by name and number; in `tend script` also what to do on one.
---@class signal
signal = {}

---The number of a signal. Raises for what is none.
---@param name string|integer "TERM", "SIGTERM", "RTMIN+3", 15
---@return integer
function signal.number(name) end

---The name of a signal. Raises for what is none.
---@param number integer|string
---@return string name without SIG
function signal.name(number) end

---Runs the function as a task whenever the signal comes. With one for TERM or INT the script is not ended by it: it has to
---end itself (`signal.stopping`); a second signal ends it. Only in `tend script`.
---@param name string|integer
---@param fn fun()
function signal.on(name, fn) end

---True from the first stop signal on. What works in steps asks before each.
---@return boolean
function signal.stopping() end
