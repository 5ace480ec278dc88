-- What the prompt tells of functions and types: read from the stubs that editors use (scripts/tend/_meta), which are part of
-- the program. Parsed when first asked for.
local core = ...
local help = {}

local entries -- by name: { signature, doc = {lines}, params, returns, fields, kind }
local order   -- names as they stand in the stubs

local function flush(found, name, entry)
  if name and not found[name] then
    found[name] = entry
    order[#order + 1] = name
  end
end

--- What stands behind @param and @field, "name type words" → name, type, words; a type may hold blanks in brackets and after a
--- comma, a colon or a bar.
function help.split(text)
  local name, rest = text:match("^(%S+)%s+(.*)$")
  if not name then
    return text, "", ""
  end
  local depth, i = 0, 1
  while i <= #rest do
    local c = rest:sub(i, i)
    if c:find("[%(%[{<]") then
      depth = depth + 1
    elseif c:find("[%)%]}>]") then
      depth = depth - 1
    elseif c == " " and depth == 0 and not rest:sub(i - 1, i - 1):find("[,:|]") then
      break
    end
    i = i + 1
  end
  return name, rest:sub(1, i - 1), (rest:sub(i + 1):gsub("^[ #]+", ""))
end

local function fresh()
  return { doc = {}, params = {}, returns = {}, fields = {} }
end

local function annotate(entry, word, text)
  if word == "param" or word == "field" then
    local name, kind, words = help.split(text)
    local list = word == "param" and entry.params or entry.fields
    list[#list + 1] = { name = name:gsub("%?$", ""), optional = name:find("%?$") ~= nil, type = kind, doc = words }
  elseif word == "return" then
    entry.returns[#entry.returns + 1] = text
  elseif word == "class" then
    entry.class = text:match("^[%w_.]+")
  elseif word == "async" then
    entry.async = true
  end
end

local function parse()
  entries, order = {}, {}
  local entry, class_of = fresh(), {}
  for line in (core.stubs .. "\n\n"):gmatch("([^\n]*)\n") do
    local word, text = line:match("^%-%-%-@(%S+)%s*(.*)$")
    local signature = line:match("^function (.+) end$") or line:match("^function ([%w_.:]+%b())$")
    local variable = line:match("^local ([%w_]+) = {}") or line:match("^([%w_]+) = {}")
    if word then
      annotate(entry, word, text)
    elseif line:find("^%-%-%-") then
      entry.doc[#entry.doc + 1] = line:sub(4):gsub("^ ", "")
    elseif signature then
      local owner, method = signature:match("^([%w_]+):(.+)$")
      entry.signature = owner and class_of[owner] and class_of[owner] .. ":" .. method or signature
      entry.kind = "function"
      flush(entries, entry.signature:match("^([%w_.:]+)"), entry)
      entry = fresh()
    elseif variable then
      entry.kind = "table"
      entry.signature = variable
      class_of[variable] = entry.class or variable
      flush(entries, entry.class or variable, entry)
      entry = fresh()
    elseif line == "" then
      if entry.class then
        entry.kind, entry.signature = "class", entry.class
        flush(entries, entry.class, entry)
      end
      entry = fresh()
    end
  end
end

function help.entry(name)
  if not entries then
    parse()
  end
  return entries[name]
end

function help.names()
  if not entries then
    parse()
  end
  return order
end

-- The names below a table: "probe" → "probe.tcp", …
function help.members(name)
  local list = {}
  for _, full in ipairs(help.names()) do
    local rest = full:match("^" .. name:gsub("%p", "%%%0") .. "[.:]([%w_]+)$")
    if rest and entries[full].kind == "function" then
      list[#list + 1] = full
    end
  end
  return list
end

-- The fields of the table that a function takes as its parameter n.
function help.fields(name, n)
  local entry = help.entry(name)
  local param = entry and entry.params[n]
  if not param then
    return {}
  end
  local class = help.entry((param.type:gsub("%?$", "")))
  if class then
    return class.fields
  end
  local list = {}
  local inner = param.type:match("^{(.*)}")
  for key, optional, kind in (inner or ""):gmatch("([%a_][%w_]*)(%??)%s*:%s*([^,]+)") do
    list[#list + 1] = { name = key, optional = optional == "?", type = kind, doc = "" }
  end
  return list
end

function help.first_line(name)
  local entry = help.entry(name)
  local text = entry and table.concat(entry.doc, " ") or ""
  return text:match("^(.-%.)%s") or text
end

local function add_fields(lines, fields)
  for _, field in ipairs(fields) do
    lines[#lines + 1] = ("    %s%s: %s%s"):format(field.name, field.optional and "?" or "", field.type,
      field.doc ~= "" and "  -- " .. field.doc or "")
  end
end

-- Lines for people; nil when there is nothing of that name.
function help.lines(name)
  local entry = help.entry(name)
  if not entry then
    return nil
  end
  local lines = { entry.kind == "table" and name or entry.signature }
  for _, line in ipairs(entry.doc) do
    lines[#lines + 1] = "  " .. line
  end
  if entry.async then
    lines[#lines + 1] = "  Waits."
  end
  for i, param in ipairs(entry.params) do
    lines[#lines + 1] = ("  %s%s: %s%s"):format(param.name, param.optional and "?" or "", param.type,
      param.doc ~= "" and "  -- " .. param.doc or "")
    if help.entry((param.type:gsub("%?$", ""))) then
      add_fields(lines, help.fields(name, i))
    end
  end
  add_fields(lines, entry.fields)
  for _, text in ipairs(entry.returns) do
    lines[#lines + 1] = "  returns " .. text
    local class = help.entry((text:match("^[%w_.]+") or ""))
    if class and class.kind == "class" then
      add_fields(lines, class.fields)
    end
  end
  if entry.kind == "table" then
    for _, full in ipairs(help.members(name)) do
      lines[#lines + 1] = ("  %-40s %s"):format(entries[full].signature, help.first_line(full))
    end
  end
  return lines
end

return help
