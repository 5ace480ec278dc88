-- What could be typed next: globals, fields, live names inside of texts, the keys of option tables. Nothing of the values' own
-- is called; `names(kind)` gives the live names.
local core, help, is_name = ...
local complete = {}

local MOST = 200

-- What the text in a call's first place names.
local NAMES = {
  start = "process", stop = "process", restart = "process", logs = "process", ["process.get"] = "process",
  ["process.signal"] = "process", ["processes["] = "process", check_now = "check", ["checks["] = "check",
  ["dependencies["] = "check", ["settings.get"] = "setting", ["settings.has"] = "setting", ["settings.require"] = "setting",
  set = "setting", remediate = "action", watch = "topic", help = "help", op = "op", require = "script",
  ["postgres.query"] = "database", ["postgres.execute"] = "database", ["postgres.connect"] = "database",
  ["postgres.transaction"] = "database",
}

-- Reads the text up to its end: what is open there. Each level: the bracket, the name before it, how many commas since.
local function scan(text)
  local stack, i, n = {}, 1, #text
  local open -- a text that has not ended: { quote, from }
  while i <= n do
    local c = text:sub(i, i)
    if c == "-" and text:sub(i, i + 1) == "--" and not text:find("^%-%-%[=*%[", i) then
      local eol = text:find("\n", i, true)
      if not eol then
        return stack, nil, true
      end
      i = eol
    elseif c == '"' or c == "'" then
      local from = i + 1
      i = from
      while i <= n and text:sub(i, i) ~= c do
        i = i + (text:sub(i, i) == "\\" and 2 or 1)
      end
      if i > n then
        open = { quote = c, from = from }
      end
    elseif text:find("^%[=*%[", i) then
      local level = text:match("^%[(=*)%[", i)
      local _, last = text:find("]" .. level .. "]", i, true)
      if not last then
        return stack, nil, true
      end
      i = last
    elseif c == "(" or c == "{" or c == "[" then
      local name = text:sub(1, i - 1):match("([%a_][%w_.:]*)%s*$")
      stack[#stack + 1] = { bracket = c, name = name, commas = 0, from = i + 1 }
    elseif c == ")" or c == "}" or c == "]" then
      stack[#stack] = nil
    elseif c == "," and #stack > 0 then
      local top = stack[#stack]
      top.commas, top.from = top.commas + 1, i + 1
    end
    i = i + 1
  end
  return stack, open, false
end

local function starts(text, prefix)
  return text:sub(1, #prefix) == prefix
end

local function item(text, kind, name)
  local entry = name and help.entry(name)
  return {
    text = text, kind = kind, signature = entry and entry.kind == "function" and entry.signature or nil,
    doc = entry and help.first_line(name) or nil,
  }
end

local function finish(from, items)
  table.sort(items, function(a, b)
    return a.text < b.text
  end)
  local list, last = {}, nil
  for _, it in ipairs(items) do
    if it.text ~= last and #list < MOST then
      list[#list + 1] = it
      last = it.text
    end
  end
  return { from = from, items = list }
end

local function in_text(text, stack, open, names)
  local before, prefix = text:sub(1, open.from - 2), text:sub(open.from)
  local top = stack[#stack]
  local call = before:match("([%a_][%w_.:]*)%s*$")
  if not call and top and top.name and top.commas == 0 then
    call = top.bracket == "[" and top.name .. "[" or top.bracket == "(" and top.name or nil
  end
  local kind = call and NAMES[call]
  local items = {}
  for _, name in ipairs(kind and names(kind) or {}) do
    if starts(name, prefix) then
      local entry = kind == "help" and help.entry(name)
      items[#items + 1] = { text = name, kind = kind, signature = entry and entry.signature or nil }
    end
  end
  return finish(open.from, items)
end

-- What can be indexed without running anything of its own.
local function members_of(value, live)
  local found = {}
  local function add(t)
    for key, member in next, t do
      if is_name(key) and found[key] == nil then
        found[key] = member
      end
    end
  end
  if type(value) == "table" then
    local shown = live(value)
    add(shown or value)
  end
  local mt = type(value) == "string" and { __index = string } or getmetatable(value)
  for _ = 1, 5 do
    local index = type(mt) == "table" and rawget(mt, "__index")
    if type(index) ~= "table" then
      break
    end
    add(index)
    mt = getmetatable(index)
  end
  return found
end

local function kind_of(value)
  local kind = type(value)
  return kind == "function" and "function" or kind == "table" and "table" or kind == "nil" and "name" or kind
end

local function globals(env, api, modules, visit)
  for _, t in ipairs { env, api, _G } do
    for key, value in next, t do
      if is_name(key) then
        visit(key, value)
      end
    end
  end
  for _, name in ipairs(modules) do
    visit(name, {})
  end
end

local function by_path(path, env, api, modules, live, name_of)
  local owner, separator, prefix = path:match("^(.*)([.:])([%w_]*)$")
  local items = {}
  if not owner then
    globals(env, api, modules, function(key, value)
      if starts(key, path) then
        items[#items + 1] = item(key, kind_of(value), key)
      end
    end)
    return items, path
  end
  local value, first = nil, true
  for part in owner:gmatch("[^.:]+") do
    if first then
      value = rawget(env, part)
      if value == nil then
        value = rawget(api, part)
      end
      if value == nil and (rawget(_G, part) ~= nil or core.is_module(part)) then
        value = _G[part]
      end
    elseif value ~= nil then
      value = members_of(value, live)[part]
    end
    first = false
    if value == nil then
      return items, prefix
    end
  end
  for key, member in next, members_of(value, live) do
    if starts(key, prefix) and (separator == "." or type(member) == "function") then
      local name = type(member) == "function" and name_of(member) or owner .. separator .. key
      items[#items + 1] = item(key, kind_of(member), name)
    end
  end
  return items, prefix
end

-- o: env, api, modules (names), names(kind), live(table), name_of(function). → { from, items }: the text from there to its end is
-- what an item replaces.
function complete.at(text, o)
  local stack, open, nothing = scan(text)
  if nothing then
    return { from = #text + 1, items = {} }
  elseif open then
    return in_text(text, stack, open, o.names)
  end
  local path = text:match("([%a_][%w_]*[%w_.:]*)$") or ""
  if text:sub(1, #text - #path):match("[%w_%)%]\"']%s*[.:]?$") and text:sub(#text - #path, #text - #path):match("[.:]") then
    return { from = #text + 1, items = {} } -- a field of what a call gives
  end
  local items, prefix = by_path(path, o.env, o.api, o.modules, o.live, o.name_of)
  local top = stack[#stack]
  if top and top.bracket == "{" and not path:find("[.:]") and text:sub(top.from):match("^%s*[%w_]*$") then
    local call, place = top.name, 1
    local around = stack[#stack - 1]
    if not call and around and around.bracket == "(" then
      call, place = around.name, around.commas + 1
    end
    local keys = {}
    for _, field in ipairs(call and help.fields(call, place) or {}) do
      if is_name(field.name) and starts(field.name, path) then
        keys[#keys + 1] = { text = field.name .. " = ", kind = "key", signature = field.name .. ": " .. field.type, doc = field.doc }
      end
    end
    if #keys > 0 then
      return finish(#text - #path + 1, keys)
    end
  end
  if path == "" and top and top.bracket == "(" and top.name and text:sub(-1) == "(" then
    local entry = help.entry(top.name)
    if entry then -- nothing typed yet: what the function takes
      return { from = #text + 1, items = {}, hint = item(top.name, "function", top.name) }
    end
  end
  return finish(#text - #prefix + 1, items)
end

return complete
