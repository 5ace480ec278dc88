-- Verdicts kept on disk: by a key of hex digits, for a time, in a bounded number of bytes. A file for each first digit
-- holds a line for each verdict; a line that is torn or strange is no verdict. Where the disk fails, it is done without.
local cache = {}

local FILE_BYTES = 1024 * 1024 -- a longer file loses its older half
local LINE_BYTES = 4096        -- a longer verdict is not kept

local Cache = {}
Cache.__index = Cache

---@param o table  dir, max_age (seconds), who (for messages)
function cache.open(o)
  return setmetatable({ dir = o.dir, max_age = o.max_age, who = o.who, files = {} }, Cache)
end

function Cache:give_up(err)
  if not self.failed then log.warning(self.who .. ": the cache is done without", { error = err.message }) end
  self.failed = true
end

local function parse(line)
  local entry = json.decode(line)
  if type(entry) == "table" and type(entry[1]) == "string" and type(entry[2]) == "number" and type(entry[3]) == "boolean" then
    return entry
  end
end

--- The file of a key, read when it is first asked for: { path, size, verdicts, fresh lines }.
function Cache:file(key)
  local name = key:sub(1, 1)
  local file = self.files[name]
  if file then return file end
  file = { path = ("%s/verdicts-%s.jsonl"):format(self.dir, name), size = 0, verdicts = {}, fresh = {} }
  self.files[name] = file
  local text, err = fs.read(file.path)
  if not text then
    if err.code ~= "enoent" then self:give_up(err) end
    return file
  end
  file.size = #text
  for line in text:gmatch "[^\n]+" do
    local entry = parse(line)
    if entry then file.verdicts[entry[1]] = entry end
  end
  return file
end

--- A verdict that is young enough: valid and reason; nil when there is none.
function Cache:get(key)
  if self.failed then return nil end
  local entry = self:file(key).verdicts[key]
  local age = entry and clock.now() - entry[2]
  if not age or age > self.max_age or age < -60 then return nil end
  return entry[3], type(entry[4]) == "string" and entry[4] or nil
end

function Cache:put(key, valid, reason)
  if self.failed then return end
  local entry = { key, math.floor(clock.now()), valid, reason }
  local line = json.encode(entry)
  if #line > LINE_BYTES then return end
  local file = self:file(key)
  file.verdicts[key] = entry
  file.fresh[#file.fresh + 1] = line
end

-- The younger verdicts, up to half of a full file.
local function shrink(file)
  local entries = {}
  for _, entry in pairs(file.verdicts) do entries[#entries + 1] = entry end
  table.sort(entries, function(a, b) return a[2] > b[2] or (a[2] == b[2] and a[1] < b[1]) end)
  local lines, bytes = {}, 0
  file.verdicts = {}
  for _, entry in ipairs(entries) do
    local line = json.encode(entry)
    bytes = bytes + #line + 1
    if bytes > FILE_BYTES / 2 then break end
    lines[#lines + 1] = line
    file.verdicts[entry[1]] = entry
  end
  local text = table.concat(lines, "\n") .. "\n"
  file.size = #text
  return fs.write_atomic(file.path, text)
end

--- Writes out what is new.
function Cache:flush()
  for _, file in pairs(self.files) do
    if #file.fresh > 0 and not self.failed then
      -- a newline before it: the last line may be torn
      local text = "\n" .. table.concat(file.fresh, "\n") .. "\n"
      file.fresh = {}
      local done, err
      if file.size + #text > FILE_BYTES then
        done, err = shrink(file)
      else
        done, err = fs.append(file.path, text)
        file.size = file.size + #text
      end
      if not done then self:give_up(err) end
    end
  end
end

return cache
