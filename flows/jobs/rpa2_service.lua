-- The validation service: gets { "records": [...] } by POST, answers { "results": [{ "valid": true }, { "valid": false,
-- "reason": "..." }, ...] } in the same order. It is down when it does not answer or answers with 5xx; then, and where its
-- answer makes no sense, there are no verdicts of it for a while, and the rules alone decide.
local link = require "jobs.link"

local service = {}

local TIMEOUT_SECONDS = 10
local TRIES = 3
local REST_SECONDS = 30       -- so long it is not asked after it failed
local PIECE_BYTES = 256 * 1024 -- of records in one request

--- A reason as it can be stored: text of one line, at most 500 characters.
local function clean(reason)
  if type(reason) ~= "string" or reason == "" or not utf8.len(reason) then return "refused" end
  return (reason:sub(1, (utf8.offset(reason, 501) or #reason + 1) - 1):gsub("%c", " "))
end

local Service = {}
Service.__index = Service

---@param o table  url, cache
function service.new(o)
  return setmetatable({ url = o.url, cache = o.cache, rests_till = -math.huge }, Service)
end

--- The results of an answer; nil and what is wrong with it.
local function results_of(response, n)
  if not response.ok then return nil, ("status %d"):format(response.status) end
  local answer = response:json()
  local results = type(answer) == "table" and answer.results
  if type(results) ~= "table" or #results ~= n then return nil, ("the answer has no list of %d results"):format(n) end
  for _, result in ipairs(results) do
    if type(result) ~= "table" or type(result.valid) ~= "boolean" then return nil, "a result does not say whether it is valid" end
  end
  return results
end

function Service:ask(texts)
  local body = '{"records":[' .. table.concat(texts, ",") .. "]}"
  local why
  for try = 1, TRIES do
    local response, err = http.post(self.url, body, { headers = { ["Content-Type"] = "application/json" }, timeout = TIMEOUT_SECONDS })
    if response and response.status < 500 then
      local results
      results, why = results_of(response, #texts)
      if results then return results end
      break
    end
    why = response and ("status %d"):format(response.status) or err.message
    if try == TRIES or signal.stopping() then break end
    link.pause(2 ^ (try - 2))
  end
  self.rests_till = clock.monotonic() + REST_SECONDS
  log.warning("rpa2: the validation service gives no verdicts; the rules alone decide", { error = why, again_in_s = REST_SECONDS })
end

--- Gives rows a verdict, { valid, reason, by }, where there is one. A row has raw (JSON) and key.
function Service:judge(rows)
  local asked, texts, bytes = {}, {}, 0
  local function flush()
    local results = #asked > 0 and clock.monotonic() >= self.rests_till and self:ask(texts)
    for i, row in ipairs(results and asked or {}) do
      local valid = results[i].valid
      local reason = not valid and clean(results[i].reason) or nil
      row.verdict = { valid = valid, reason = reason, by = "service" }
      self.cache:put(row.key, valid, reason)
    end
    self.cache:flush()
    asked, texts, bytes = {}, {}, 0
  end
  for _, row in ipairs(rows) do
    local valid, reason = self.cache:get(row.key)
    if valid ~= nil then
      row.verdict = { valid = valid, reason = reason, by = "cache" }
    else
      asked[#asked + 1], texts[#texts + 1] = row, row.raw
      bytes = bytes + #row.raw
      if bytes >= PIECE_BYTES then flush() end
    end
  end
  flush()
end

return service
