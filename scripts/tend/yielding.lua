-- What C's library does in one call that nothing can interrupt while functions of scripts are called from it, in Lua:
-- here a task can be taken off at any time, and what is called may wait. engine/lua/yielding.c has checked the arguments.
local yielding = {}
local concat, find, sub, byte, min = table.concat, string.find, string.sub, string.byte, math.min

-- Raises with the line of the script, so many calls up, in place of one of ours.
local function fail(message, level)
  if type(message) == "string" then
    message = message:gsub("^scripts/tend/yielding%.lua:%d+: ", "")
  end
  error(message, level + 1)
end

-- table.sort: short runs by insertion, then merged, from one list into the other and back

local RUN <const> = 8

local function insert(list, low, high, less)
  for i = low + 1, high do
    local value, j = list[i], i - 1
    while j >= low and less(value, list[j]) do
      list[j + 1] = list[j]
      j = j - 1
    end
    list[j + 1] = value
  end
end

-- from[low … middle - 1] and from[middle … high], each in order, to the same places of `to`
local function merge(from, to, low, middle, high, less)
  local i, j, k = low, middle, low
  local a, b = from[i], from[j]
  while true do
    if less(b, a) then
      to[k] = b
      k = k + 1
      j = j + 1
      if j > high then
        break
      end
      b = from[j]
    else
      to[k] = a
      k = k + 1
      i = i + 1
      if i == middle then
        break
      end
      a = from[i]
    end
  end
  for rest = i, middle - 1 do
    to[k] = from[rest]
    k = k + 1
  end
  for rest = j, high do
    to[k] = from[rest]
    k = k + 1
  end
end

local function sort(list, n, less, from, to)
  for i = 1, n do
    from[i] = list[i]
  end
  for low = 1, n, RUN do
    insert(from, low, min(low + RUN - 1, n), less)
  end
  local width = RUN
  while width < n do
    for low = 1, n, 2 * width do
      if low + width <= n then
        merge(from, to, low, low + width, min(low + 2 * width - 1, n), less)
      else
        for i = low, n do
          to[i] = from[i]
        end
      end
    end
    from, to = to, from
    width = 2 * width
  end
  for i = 1, n do
    list[i] = from[i]
  end
end

local function by_value(a, b)
  return a < b
end

-- `from` and `to` are tables with room for n elements.
function yielding.sort(list, n, less, from, to)
  if less then
    sort(list, n, less, from, to)
    return
  end
  local ok, err = pcall(sort, list, n, by_value, from, to)
  if not ok then
    fail(err, 3)
  end
end

-- string.gsub with a function, or a table that may ask one

function yielding.gsub(text, pattern, replacement, most)
  local pieces, n, count = {}, 0, 0
  local copied, at, last = 0, 1, 0 -- up to where it is in the pieces; where to look; the end of the last match
  local is_table = type(replacement) == "table"

  local function replace(ok, first, stop, ...)
    if not ok then
      fail(first, 4)
    elseif not first then
      return false
    elseif stop < first and stop == last and count > 0 then -- nothing, right after a match, is none
      at = first + 1
      return true
    end
    local whole = sub(text, first, stop)
    local value
    if is_table then
      value = replacement[... or whole]
    elseif select("#", ...) > 0 then
      value = replacement(...)
    else
      value = replacement(whole)
    end
    if not value then
      value = whole
    elseif type(value) ~= "string" and type(value) ~= "number" then
      fail("invalid replacement value (a " .. type(value) .. ")", 4)
    end
    pieces[n + 1], pieces[n + 2] = sub(text, copied + 1, first - 1), value
    n, count, copied, last = n + 2, count + 1, stop, stop
    at = stop + 1
    return true
  end

  local anchored = byte(pattern) == 94 -- ^
  while count < most and at <= #text + 1 and replace(pcall(find, text, pattern, at)) and not anchored do
  end
  pieces[n + 1] = sub(text, copied + 1)
  return concat(pieces), count
end

-- load with a function: what it reads, as one text, which may end where it is longer than `most`; nil, what was wrong

function yielding.read(reader, most)
  local pieces, n, length = {}, 0, 0
  while length <= most do
    local ok, piece = pcall(reader)
    if not ok then
      return nil, piece
    elseif piece == nil or piece == "" then
      break
    elseif type(piece) ~= "string" then
      return nil, "reader function must return a string"
    end
    n, length = n + 1, length + #piece
    pieces[n] = piece
  end
  return concat(pieces)
end

return yielding
