---@meta

---A flow's own settings and the values of all. A declared one is given as `CONTAINER_<FLOW>_<NAME>`, checked with tend's own,
---and shown by `tend config`.
---@class settings
settings = {}

---@class tend.setting
---@field type? "string"|"path"|"paths"|"integer"|"bool"|"duration"|"choice"|"url"|"address" string when left out
---@field default? any as a text may hold ${OTHER_SETTING}
---@field unit? string of a bare number of a duration: "s" (also when left out), "ms", "m", "h"
---@field min? number of integers and durations (seconds)
---@field max? number
---@field choices? string[] the type is choice then
---@field secret? boolean told as ***
---@field required? boolean
---@field reloadable? boolean
---@field doc? string one line

---Declares settings and gives their values, typed: integers, booleans, durations in seconds, else text; nil without a value.
---The table cannot be changed; a name that is not declared raises. Wrong values are told by the validation.
---@param given table<string, tend.setting> by name, capitals
---@return table<string, any> values
function settings.declare(given) end

---The value of a setting: the flow's own by its short name, tend's own without CONTAINER_, or any by its full name.
---@param name string
---@return any value nil without one; raises when there is no such setting
function settings.get(name) end

---True when there is such a setting and it has a value.
---@param name string
---@return boolean
function settings.has(name) end

---The validation fails when that setting has no value.
---@param name string with or without CONTAINER_
function settings.require(name) end
