-- How the prompt shows a value: as Lua that could be typed again where that is possible, on one line where it fits, keys in
-- order, cycles named, long things cut. Nothing of the value's own runs but __pairs and __tostring, under pcall.
local core = ...
local print_ = {}

local WIDTH, DEPTH, ITEMS, TEXT, LINES = 100, 6, 50, 500, 120
local KEYS = 1000 -- looked at for the order of what is shown, where not all is
local RESERVED = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true until
while]]):gmatch("%a+") do
  RESERVED[word] = true
end

local function is_name(key)
  return type(key) == "string" and key:match("^[%a_][%w_]*$") ~= nil and not RESERVED[key]
end
print_.is_name = is_name

local ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ['"'] = '\\"', ["\\"] = "\\\\" }

local function escape_byte(c)
  return ESCAPES[c] or ("\\x%02x"):format(c:byte())
end

-- Whatever a terminal would obey is written as an escape.
local function quote(text)
  text = text:gsub('[%c"\\]', escape_byte)
  if utf8.len(text) then
    return '"' .. text:gsub("\xc2[\x80-\x9f]", function(c)
      return (c:gsub(".", escape_byte))
    end) .. '"'
  end
  return '"' .. text:gsub("[\x80-\xff]", escape_byte) .. '"'
end

local function cut_text(text, n)
  while n > 0 and text:byte(n + 1) and text:byte(n + 1) >= 0x80 and text:byte(n + 1) < 0xc0 do
    n = n - 1 -- not inside of a character
  end
  return text:sub(1, n)
end

local function number(v)
  if math.type(v) == "integer" then
    return ("%d"):format(v)
  elseif v ~= v then
    return "0/0"
  elseif v == math.huge or v == -math.huge then
    return v > 0 and "math.huge" or "-math.huge"
  end
  local short = ("%.14g"):format(v)
  if tonumber(short) ~= v then
    short = ("%.17g"):format(v)
  end
  return short:find("[%.eE]") and short or short .. ".0"
end

local function scalar(v, state)
  local kind = type(v)
  if kind == "string" then
    if not state.full and #v > TEXT then
      state.cut = true
      return ("%s… -- %d bytes"):format(quote(cut_text(v, TEXT)), #v)
    end
    return quote(v)
  elseif kind == "number" then
    return number(v)
  elseif kind == "function" then
    local name = state.name_of and state.name_of(v)
    return ("<function %s>"):format(name or core.where(v))
  elseif v == json.null then
    return "json.null"
  elseif kind == "userdata" or kind == "thread" then
    local ok, text = pcall(tostring, v)
    return ("<%s>"):format(ok and type(text) == "string" and quote(text):sub(2, -2) or kind)
  end
  return tostring(v) -- nil, true, false
end

-- How a table wants to be shown: a text of its own, the word before its brace, what stands for it.
local function manner(v, state)
  local live = state.live and state.live(v)
  if live then
    return nil, nil, live
  end
  local mt = getmetatable(v)
  if type(mt) ~= "table" then
    return nil, nil, v
  end
  local name = rawget(mt, "__name")
  if name == "error" and rawget(v, "message") then
    return ("<error %s: %s>"):format(tostring(rawget(v, "code")), quote(tostring(rawget(v, "message"))):sub(2, -2))
  end
  if rawget(mt, "__tostring") then
    local ok, text = pcall(tostring, v)
    return ("<%s>"):format(ok and type(text) == "string" and quote(cut_text(text, TEXT)):sub(2, -2) or "table")
  end
  return nil, type(name) == "string" and name or nil, v
end

local RANK = { number = 1, string = 2 }

local function before(a, b)
  local ra, rb = RANK[type(a)] or 3, RANK[type(b)] or 3
  if ra ~= rb then
    return ra < rb
  elseif ra < 3 then
    return a < b
  end
  return tostring(a) < tostring(b)
end

-- The length of the list in it, the other keys in order, and how many there are in all (at least).
local function keys_of(v, state)
  local n = 0
  while rawget(v, n + 1) ~= nil do
    n = n + 1
  end
  local keys, total = {}, n
  local ok, step, s, key = pcall(pairs, v)
  if not ok then
    return n, keys, total
  end
  local value
  repeat
    ok, key, value = pcall(step, s, key)
    if ok and key ~= nil and not (math.type(key) == "integer" and key >= 1 and key <= n) then
      total = total + 1
      if state.full or #keys < KEYS then
        keys[#keys + 1] = { key, value }
      end
    end
  until not ok or key == nil or (not state.full and total > n + 100 * KEYS)
  table.sort(keys, function(a, b)
    return before(a[1], b[1])
  end)
  return n, keys, total
end

local function key_text(key, state)
  if is_name(key) then
    return key
  elseif type(key) == "table" then
    return "[<table>]"
  end
  return "[" .. scalar(key, state) .. "]"
end

local function path_of(path, key)
  if is_name(key) then
    return path .. "." .. key
  end
  return ("%s[%s]"):format(path, type(key) == "table" and "…" or scalar(key, { full = true }))
end

-- On one line of at most `room` characters, or nil. `above`: the tables around it, with their paths.
local function inline(v, room, above, path, depth, state)
  if type(v) ~= "table" then
    local text = scalar(v, state)
    return #text <= room and text or nil
  elseif above[v] then
    return ("<cycle: %s>"):format(above[v])
  end
  local text, prefix, shown = manner(v, state)
  if text then
    return text
  end
  local n, keys, total = keys_of(shown, state)
  prefix = prefix and prefix .. " " or ""
  if total == 0 then
    return prefix .. "{}"
  elseif not state.full and depth > DEPTH then
    state.cut = true
    return prefix .. "{ … }"
  elseif total > ITEMS then
    return nil
  end
  above[v] = path
  local parts, used = {}, #prefix + 4
  for i = 1, total do
    local key = i <= n and i or keys[i - n][1]
    local head = i <= n and "" or key_text(key, state) .. " = "
    local value = i <= n and rawget(shown, i) or i > n and keys[i - n][2]
    local part = inline(value, room - used - #head, above, path_of(path, key), depth + 1, state)
    if not part then
      above[v] = nil
      return nil
    end
    parts[i] = head .. part
    used = used + #parts[i] + 2
  end
  above[v] = nil
  if used - 2 > room then
    return nil
  end
  return ("%s{ %s }"):format(prefix, table.concat(parts, ", "))
end

local function emit(state, text)
  state.put(text)
  for _ in text:gmatch("\n") do
    state.lines = state.lines + 1
  end
end

local function write(v, indent, taken, above, path, depth, state)
  local was = state.cut
  local line = inline(v, state.width - indent - taken, above, path, depth, state)
  if line then
    emit(state, line)
    return
  end
  state.cut = was
  if type(v) ~= "table" then
    emit(state, scalar(v, state))
    return
  end
  local _, prefix, shown = manner(v, state)
  local n, keys, total = keys_of(shown, state)
  above[v] = path
  emit(state, (prefix and prefix .. " " or "") .. "{\n")
  local pad = (" "):rep(indent + 2)
  local most = state.full and total or math.min(total, n + #keys, ITEMS)
  local i = 0
  while i < most and (state.full or state.lines < LINES) do
    i = i + 1
    local key = i <= n and i or keys[i - n][1]
    local head = i <= n and "" or key_text(key, state) .. " = "
    emit(state, pad .. head)
    local value
    if i <= n then
      value = rawget(shown, i)
    else
      value = keys[i - n][2]
    end
    write(value, indent + 2, #head + 1, above, path_of(path, key), depth + 1, state)
    emit(state, ",\n")
  end
  if i < total then
    state.cut = true
    emit(state, ("%s-- %d more\n"):format(pad, total - i))
  end
  above[v] = nil
  emit(state, (" "):rep(indent) .. "}")
end

-- o: put(text), full, width, path (what the value is called), name_of(function), live(table). True: something was cut.
function print_.value(v, o)
  local state = {
    put = o.put, full = o.full, width = math.max(o.width or WIDTH, 40), lines = 0, cut = false, name_of = o.name_of, live = o.live,
  }
  write(v, 0, 0, {}, o.path or "_", 1, state)
  return state.cut
end

function print_.text(v, o)
  local parts = {}
  local options = { put = function(text) parts[#parts + 1] = text end }
  for key, value in pairs(o or {}) do
    options[key] = value
  end
  local cut = print_.value(v, options)
  return table.concat(parts), cut
end

-- What JSON can carry: functions and the like as texts, cycles cut, mixed keys as texts.
function print_.plain(v, above, live)
  local kind = type(v)
  if kind == "nil" or v == json.null then
    return json.null
  elseif kind == "string" then
    return (v:gsub("%z", "\\0"))
  elseif kind == "number" then
    if v ~= v or v == math.huge or v == -math.huge then
      return number(v)
    end
    return math.abs(v) > 2^53 and number(v) or v
  elseif kind == "boolean" then
    return v
  elseif kind ~= "table" then
    return scalar(v, { full = true })
  end
  above = above or {}
  if above[v] then
    return "<cycle>"
  end
  local depth = above.depth or 0
  if depth > 24 then
    return "<too deep>"
  end
  local shown = live and live(v) or v
  above[v], above.depth = true, depth + 1
  local n, keys, total = keys_of(shown, { full = true })
  local out = {}
  for i = 1, n do
    out[total == n and i or tostring(i)] = print_.plain(rawget(shown, i), above, live)
  end
  for _, pair in ipairs(keys) do
    out[type(pair[1]) == "string" and pair[1] or type(pair[1]) == "table" and "<table>" or tostring(pair[1])] =
      print_.plain(pair[2], above, live)
  end
  above[v], above.depth = nil, depth
  return out
end

return print_
