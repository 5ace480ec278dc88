---@meta

---JSON within bounds: 1 MiB of text, 32 levels.
---@class json
---@field null lightuserdata what `null` inside a list is
json = {}

---The value as text. Tables with keys 1..n are lists, with text keys objects (keys in order), an empty one an object.
---Raises for what JSON has not: functions, holes, mixed keys, circles, NaN, integers above 2^53.
---@param value any
---@return string
function json.encode(value) end

---The value of a JSON text; null is nil in objects and `json.null` in lists.
---@param text string
---@return any value
---@return tend.error? err code "json", with line and column
function json.decode(text) end
