-- CSV as RFC 4180 and the world write it: quoted fields with separators, quotes and newlines in them, CRLF or LF, a byte
-- order mark, a missing newline at the end. It never loses anything: what cannot be read comes back as it was, with a
-- reason, and reading goes on at the next line.
local csv = {}

-- A longer record is one whose quote was never closed, or no text at all: it is given back in pieces of this size.
local RECORD_MAX = 128 * 1024

--- A window on a text that comes in pieces.
---@param read fun(): string?  the next piece, nil at the end
local function window(read)
  local w = { text = "", from = 1, ended = false }

  --- Puts one more piece behind the text; false at its end.
  function w.more()
    if w.ended then return false end
    local piece = read()
    if not piece or piece == "" then
      w.ended = true
      return false
    end
    w.text = w.text:sub(w.from) .. piece
    w.from = 1
    return true
  end

  return w
end

-- The fields of the record that begins at `at`. Returns the fields and where the next record begins; or nil and "more"
-- when the text ends too early, or nil and a reason.
local function parse(text, at, separator, ended)
  local fields, n = {}, 0
  local plain = "^[^" .. separator .. "\r\n]*"
  while true do
    local value
    if text:byte(at) == 34 then
      local from = at + 1
      local parts
      while true do
        local quote = text:find('"', from, true)
        if not quote then return nil, ended and "a quoted field is not closed" or "more" end
        local after = text:byte(quote + 1)
        if not after and not ended then return nil, "more" end
        if after ~= 34 then
          value = text:sub(from, quote - 1)
          if parts then value = parts .. value end
          at = quote + 1
          break
        end
        parts = (parts or "") .. text:sub(from, quote)
        from = quote + 2
      end
    else
      local _, last = text:find(plain, at)
      value = text:sub(at, last)
      at = last + 1
    end
    n = n + 1
    fields[n] = value
    local c = text:byte(at)
    if not c then
      if not ended then return nil, "more" end
      return fields, at
    elseif c == 10 then
      return fields, at + 1
    elseif c == 13 then
      local following = text:byte(at + 1)
      if not following and not ended then return nil, "more" end
      return fields, at + (following == 10 and 2 or 1)
    elseif c ~= separator:byte() then
      return nil, "there is text after a quoted field"
    end
    at = at + 1
    if at > #text and not ended then return nil, "more" end
  end
end

-- The line that begins at `at`, without its end, and where the next one begins; nil when the text ends too early.
local function line(text, at, ended)
  local stop = text:find("[\r\n]", at)
  if (stop or #text + 1) - at > RECORD_MAX then return text:sub(at, at + RECORD_MAX - 1), at + RECORD_MAX end
  if not stop then
    if not ended then return nil end
    return text:sub(at), #text + 1
  end
  if text:byte(stop) == 13 then
    if stop == #text and not ended then return nil end
    if text:byte(stop + 1) == 10 then return text:sub(at, stop - 1), stop + 2 end
  end
  return text:sub(at, stop - 1), stop + 1
end

--- Reads records one after the other. The iterator gives a table
---   { fields = {…}, raw = text, line = n }              a record
---   { reason = "…", raw = text, line = n }              a line that is none
--- and nil at the end. Empty lines are left out.
---@param read fun(): string?
---@param separator? string  found out from the first line where it is nil
function csv.records(read, separator)
  local w = window(read)
  local number, first = 1, true
  return function()
    while true do
      if first then
        first = false
        while #w.text < 3 and w.more() do end
        if w.text:sub(1, 3) == "\xef\xbb\xbf" then w.from = 4 end
      end
      if not separator then
        local head
        repeat head = line(w.text, w.from, w.ended) until head or not w.more()
        head = head or line(w.text, w.from, true)
        local best = 0
        separator = ","
        for _, candidate in ipairs { ",", ";", "\t" } do
          local _, n = head:gsub(candidate, "")
          if n > best then best, separator = n, candidate end
        end
      end
      while w.from > #w.text do
        if not w.more() then return nil end
      end
      local fields, next_at
      repeat
        fields, next_at = parse(w.text, w.from, separator, w.ended)
        if fields or next_at ~= "more" then break end
        if #w.text - w.from >= RECORD_MAX then
          next_at = "it is longer than 128 KB, or a quoted field is not closed"
          break
        end
        w.more()
      until false
      if fields and next_at - w.from > RECORD_MAX + 2 then
        fields, next_at = nil, "it is longer than 128 KB, or a quoted field is not closed"
      end
      local record = { fields = fields, line = number }
      if not fields then
        record.reason = next_at
        local raw, after
        repeat raw, after = line(w.text, w.from, w.ended) until raw or not w.more()
        if not raw then raw, after = line(w.text, w.from, true) end
        record.raw, next_at = raw, after
      else
        record.raw = w.text:sub(w.from, next_at - 1):gsub("[\r\n]+$", "")
      end
      local _, lines = w.text:sub(w.from, next_at - 1):gsub("\n", "")
      number = number + lines
      w.from = next_at
      if record.raw ~= "" then return record end
    end
  end
end

--- One record as a line, with LF at its end.
---@param fields string[]
function csv.line(fields)
  local out = {}
  for i, value in ipairs(fields) do
    if value:find('[",\r\n;\t]') or value:find "^%s" or value:find "%s$" then value = '"' .. value:gsub('"', '""') .. '"' end
    out[i] = value
  end
  -- one empty field alone would be an empty line
  if #out == 1 and out[1] == "" then out[1] = '""' end
  return table.concat(out, ",") .. "\n"
end

return csv
