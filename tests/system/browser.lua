-- A headless Chromium for a test (browser.py), ended with it.
--
--   local b = browser.start()     b:open(url)  b:eval "return document.title"  b:size(390, 844)  b:media { ["prefers-color-scheme"] = "dark" }
--   b:wait("document.title == 'x'", seconds)  b:console()  b:shot "/tmp/x.png"
local cjson = require "cjson"
local h = require "harness"

local browser = {}
local Browser = {}
Browser.__index = Browser

--- nil where it can be started; else why not.
function browser.missing()
  local _, code = h.sh "command -v /usr/bin/python3 && command -v chromium && command -v chromedriver"
  return code ~= 0 and "chromium, chromedriver (Debian: chromium-driver) or python3 is not installed" or nil
end

function browser.start()
  local p = assert(h.start { argv = { "/usr/bin/python3", h.top .. "/tests/system/browser.py" }, env = { "PATH=/usr/bin:/bin" }, cwd = "/", stdin = true })
  p:wait_line("^ready$", 60, "out")
  return setmetatable({ process = p, answers = 0 }, Browser)
end

function Browser:tell(command)
  local _, before = self.process.out:gsub("\n", "")
  self.process:send(cjson.encode(command) .. "\n")
  local line = h.wait_for(function()
    local list = {}
    for l in self.process.out:gmatch "([^\n]*)\n" do list[#list + 1] = l end
    return list[before + 1]
  end, 60, "an answer of the browser")
  local answer = cjson.decode(line)
  if answer.error then error(answer.error, 2) end
  return answer.value
end

function Browser:open(url) return self:tell { open = url } end
function Browser:eval(script) return self:tell { script = script } end
function Browser:size(width, height) return self:tell { size = { width, height } } end
function Browser:media(features) return self:tell { media = features } end
function Browser:shot(file) return self:tell { shot = file } end

--- Waits until the expression is true, and returns its value.
function Browser:wait(expression, deadline)
  local value
  local ok = pcall(h.wait_for, function()
    value = self:eval("return (" .. expression .. ")")
    return value and value ~= cjson.null
  end, deadline, expression)
  if not ok then error(("waited for %s; the page says: %s; console: %s"):format(expression, self:eval "return document.body.innerText.slice(0, 1500)",
    cjson.encode(self:console())), 2) end
  return value
end

--- What the console was told since the last time: errors, refusals of the Content-Security-Policy.
function Browser:console()
  local list = {}
  for _, entry in ipairs(self:tell { log = true }) do list[#list + 1] = entry.level .. ": " .. entry.message end
  return list
end

function Browser:close()
  self.process:close_stdin()
  self.process:wait(30)
end

return browser
