-- What rpa3 does with one entry of its queue: an object of texts and booleans, whose fields become what jobs.record makes of
-- them. Pure: the same payload always gives the same result.
local record = require "jobs.record"

local work = {}

--- The result as JSON; nil and a reason when the payload is no good.
---@param payload string  JSON
function work.result(payload)
  if not payload:find "^%s*{" then return nil, "expected an object" end
  local object, err = json.decode(payload)
  if not object then return nil, err.message end
  local names, fields = {}, {}
  for name in pairs(object) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do
    local value = object[name]
    if type(value) == "boolean" then value = tostring(value) end
    if type(value) ~= "string" then return nil, ("%s: expected a plain value"):format(name:sub(1, 100)) end
    fields[i] = value
  end
  local plan = record.plan(names)
  local values, reason = record.transform(plan, fields)
  if not values then return nil, reason end
  local result = {}
  for i, name in ipairs(plan.header) do
    if result[name] then return nil, ("%s: there are two fields of that name"):format(name:sub(1, 100)) end
    result[name] = values[i]
  end
  return json.encode(result)
end

return work
