---@meta

---`retry { attempts = 5 } (fn, ...)` calls fn again until it gives something else than nil or false, and pauses between, each time
---longer. What the last call gave is given: nil, err when all have failed. What fn raises is not caught.
---@class retry
---@overload fun(options: tend.retry.options): fun(fn: function, ...): any, any
retry = {}

---@class tend.retry.options
---@field attempts? integer at most; 3 when left out
---@field delay? number seconds before the second attempt; 1 when left out
---@field backoff? number by which each pause is longer than the one before; 2 when left out
---@field max_delay? number the longest pause; 30 when left out
---@field jitter? number the share by which a pause is longer or shorter by chance, 0 to 1; 0.1 when left out
---@field timeout? number seconds after which no further attempt begins

---The same as one call.
---@async
---@param options tend.retry.options
---@param fn function
---@param ... any its arguments
---@return any
---@return any
function retry.run(options, fn, ...) end
