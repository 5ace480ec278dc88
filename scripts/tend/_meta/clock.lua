---@meta

---Time. Durations come from `monotonic`, the wall clock is for print.
---@class clock
clock = {}

---The wall clock: seconds since 1970, with a fraction.
---@return number seconds
function clock.now() end

---Seconds on a clock that never jumps; only differences mean something.
---@return number seconds
function clock.monotonic() end

---RFC 3339 in UTC with milliseconds: `2026-01-15T10:30:00.000Z`.
---@param seconds? number since 1970; now when left out
---@return string
function clock.format(seconds) end
