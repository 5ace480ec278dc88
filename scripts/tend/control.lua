-- control: commands that scripts add to the running engine, for `tend NAME …` and for whoever speaks the control protocol.
local core = ...

local control = {}

local FAR = 1 << 53 -- as far as JSON's numbers are whole
local TYPES = { string = true, integer = true, number = true, boolean = true, duration = true }
local KEYS = { name = true, help = true, run = true, args = true, level = true, timeout = true }
local ARG_KEYS = {
  name = true, help = true, type = true, option = true, required = true, default = true, choices = true, min = true,
  max = true,
}
local COMMON = { json = true, flow_name = true, state_dir = true, read_only = true, help = true }

local function check_keys(given, known, who)
  for key in pairs(given) do
    if not known[key] then
      error(("%s: unknown key %q"):format(who, tostring(key)), 0)
    end
  end
end

local function expect(ok, who, key, expected, got)
  if not ok then
    local shown = type(got) == "string" and ("%q"):format(got) or tostring(got)
    error(("%s.%s: expected %s, got %s"):format(who, key, expected, shown), 0)
  end
end

local function is_line(text)
  return type(text) == "string" and text ~= "" and #text <= 200 and not text:find("%c")
end

local function choices_of(list, who)
  expect(type(list) == "table" and #list > 0, who, "choices", "a list of words", list)
  for _, word in ipairs(list) do
    expect(type(word) == "string" and word:find("^[%w_.-]+$"), who, "choices", "words of letters, digits, - _ and .", word)
  end
  return table.concat(list, "|")
end

local function argument(a, i, seen)
  local who = ("control.command.args[%d]"):format(i)
  expect(type(a) == "table", "control.command", ("args[%d]"):format(i), "a table", a)
  check_keys(a, ARG_KEYS, who)
  expect(type(a.name) == "string" and a.name:find("^%l[%l%d_]*$") and #a.name < 32, who, "name",
    "a name of small letters, digits and _", a.name)
  expect(not seen[a.name], who, "name", "another name, this one is given twice", a.name)
  expect(not COMMON[a.name], who, "name", "a name that no option of every command has", a.name)
  seen[a.name] = true
  local kind = a.type or "string"
  expect(TYPES[kind], who, "type", "string, integer, number, boolean or duration", a.type)
  expect(a.help == nil or is_line(a.help), who, "help", "one line of text", a.help)
  expect(a.required == nil or type(a.required) == "boolean", who, "required", "true or false", a.required)
  expect(not a.required or a.default == nil, who, "default", "none for what is required", a.default)
  expect(a.choices == nil or kind == "string", who, "choices", "no choices for another type than string", kind)
  for _, key in ipairs { "min", "max" } do
    expect(a[key] == nil or kind == "integer" and math.type(a[key]) == "integer", who, key, "a whole number, for type integer", a[key])
  end
  local option = a.option or kind == "boolean"
  local value -- what stands for it in the usage
  if kind == "duration" then
    value = "DURATION"
  elseif option and (kind == "integer" or kind == "number") then
    value = "N"
  elseif not a.choices and kind ~= "boolean" then
    value = a.name:upper()
  end
  return {
    name = a.name, type = kind, place = option and "option" or "word", required = a.required or false,
    doc = a.help or "", choices = a.choices and choices_of(a.choices, who), value = value,
    min = a.min or (a.max and -FAR), max = a.max or (a.min and FAR),
  }
end

local function arguments(list)
  expect(list == nil or type(list) == "table", "control.command", "args", "a list", list)
  expect(#(list or {}) <= 16, "control.command", "args", "at most 16", #(list or {}))
  local out, defaults, seen, optional = {}, {}, {}, nil
  for i, a in ipairs(list or {}) do
    out[i] = argument(a, i, seen)
    defaults[a.name] = a.default
    if out[i].place == "word" then
      expect(not (optional and out[i].required), ("control.command.args[%d]"):format(i), "required",
        "what is required before what is not", a.name)
      optional = optional or not out[i].required
    end
  end
  return out, defaults
end

local function check(given)
  expect(type(given) == "table", "control", "command", "a table", given)
  check_keys(given, KEYS, "control.command")
  local name = given.name
  expect(type(name) == "string" and name:find("^%l[%l%d-]*$") and #name < 32, "control.command", "name",
    "a name of small letters, digits and -", name)
  local built_in, taken = core.taken(name)
  expect(not built_in, "control.command", "name", "a name that tend does not have itself", name)
  expect(not taken, "control.command", "name", "a name that no other command has", name)
  expect(is_line(given.help), "control.command", "help", "one line of text", given.help)
  expect(type(given.run) == "function", "control.command", "run", "a function", given.run)
  expect(given.level == nil or given.level == "operator" or given.level == "read-only", "control.command", "level",
    '"operator" or "read-only"', given.level)
  local timeout = given.timeout or 30
  expect(type(timeout) == "number" and timeout > 0 and timeout <= 3600, "control.command", "timeout", "seconds up to 3600", timeout)
  local list, defaults = arguments(given.args)
  return {
    name = name, summary = given.help, right = given.level or "operator", audit = given.level ~= "read-only",
    waits = true, script = true, args = list,
  }, defaults, timeout
end

function control.command(given)
  local ok, definition, defaults, timeout = pcall(check, given)
  if not ok then
    error(definition, 2)
  end
  local run = given.run
  core.register(definition, next(defaults) == nil and run or function(args, client)
    for name, value in pairs(defaults) do
      if args[name] == nil then
        args[name] = value
      end
    end
    return run(args, client)
  end, timeout)
end

return control
