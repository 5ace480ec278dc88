-- metrics: counters, gauges and histograms of a flow's own, exported with the engine's.
local core = ...

local metrics = {}

local Family = {}
Family.__index = Family
Family.__name = "metric"

-- The values in the order in which the labels were declared.
local function ordered(family, given)
  given = given or {}
  local values = {}
  for i, label in ipairs(family.labels) do
    local value = given[label]
    if value == nil then
      error(("metrics: %s: label %s is missing"):format(family.name, label), 4)
    end
    values[i] = tostring(value)
  end
  for label in pairs(given) do
    local known = false
    for _, name in ipairs(family.labels) do
      known = known or name == label
    end
    if not known then
      error(("metrics: %s was declared without label %s"):format(family.name, tostring(label)), 4)
    end
  end
  return values
end

local function update(family, op, kinds, v, labels)
  if not kinds[family.type] then
    error(("metrics: %s is a %s: no %s"):format(family.name, family.type, op), 3)
  end
  if type(v) ~= "number" then
    error(("metrics: %s: expected a number, got %s"):format(family.name, type(v)), 3)
  end
  core.update(family.core, op, ordered(family, labels), v)
end

function Family:inc(v, labels)
  update(self, "add", { counter = true, gauge = true }, v or 1, labels)
end

function Family:dec(v, labels)
  update(self, "add", { gauge = true }, -(v or 1), labels)
end

function Family:set(v, labels)
  update(self, "set", { gauge = true }, v, labels)
end

function Family:observe(v, labels)
  update(self, "observe", { histogram = true }, v, labels)
end

function Family:value(labels)
  return core.get(self.core, ordered(self, labels))
end

local function declare(kind, name, help, labels, buckets)
  local who = "metrics." .. kind
  if type(name) ~= "string" or type(help) ~= "string" then
    error(who .. ": expected a name and a help text", 3)
  end
  if labels ~= nil and type(labels) ~= "table" then
    error(who .. ": labels: expected a list of names, got " .. type(labels), 3)
  end
  return setmetatable({
    core = core.declare(kind, name, help, labels, buckets),
    name = name,
    type = kind,
    labels = labels or {},
  }, Family)
end

function metrics.counter(name, help, labels)
  return declare("counter", name, help, labels)
end

function metrics.gauge(name, help, labels)
  return declare("gauge", name, help, labels)
end

function metrics.histogram(name, help, labels, buckets)
  return declare("histogram", name, help, labels, buckets)
end

return metrics
