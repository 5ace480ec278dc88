-- Tests of flows and policies as code, run by busted: `tend test FLOW`, docs/testing.md.
--
--   local tend = require "testing"
--   local run = tend.simulate("rpa1", { dependencies = { rpa_database = { { at = "1h", is = "refused", lasts = "5m" } } } })
--   assert.equal("RUNNING", run:at("2h").state)
--   local flow = tend.load("rpa1", { probes = { postgres = "refused" } })
--   assert.equal("fail", (flow:check "rpa_database"))
assert(_VERSION == "Lua 5.4", "specs of flows need Lua 5.4, this is " .. _VERSION .. "; busted --lua=lua5.4")
local flow = require "testing.flow"
local program = require "testing.program"
local run = require "testing.run"
local times = require "testing.times"
local world = require "testing.world"

local tend = {}

---@class testing.options
---@field settings? table<string, string|number|boolean> the environment, and nothing else is in it; CONTAINER_ENVIRONMENT is "test"

--- Plays a flow against a scenario (docs/simulate.md) on a virtual clock.
---@param name string the flow
---@param scenario? table|string its table, or the path of a file with it; without: all goes well for an hour
---@param options? testing.options
---@return testing.run
function tend.simulate(name, scenario, options)
  local function play(path)
    local words = { "simulate", "--flow-name", name }
    if path then table.move({ "--scenario", path }, 1, 2, 4, words) end
    local text, code, err = program.run(words, options and options.settings)
    if code ~= 0 then error((err:gsub("tend simulate: note:[^\n]*\n", ""):gsub("\n$", "")), 0) end
    words[#words + 1] = "--json"
    return run.new(program.ask(words, options and options.settings), text)
  end
  if type(scenario) ~= "table" then return play(scenario) end
  local ok, result = pcall(program.with_file, program.source(scenario, "scenario"), function(path)
    local played, answer = pcall(play, path)
    if played then return answer end
    error((tostring(answer):gsub(path:gsub("%p", "%%%0") .. ":?%d*", "scenario")), 0)
  end)
  if ok then return result end
  return error(result, 2)
end

---@class testing.given: testing.options
---@field now? number the wall clock at the begin; 2026-01-01 00:00 UTC when left out
---@field files? table<string, string|table> what is on the disk: the text by path, or { text, mtime, type, size, mode }
---@field broken_files? table<string, string> paths that give an error: { ["/mnt/x"] = "eio" }
---@field probes? table<string, any> what each kind answers: true, a reason, a table, or a function of its parameters; "*" for all others
---@field http? table|fun(request: table): any answers by URL or "METHOD URL": a status, or { status, body, json, headers }; nil, code fails
---@field postgres? table|fun(sql: string, ...): any rows, or how many were affected; nil, code, message fails
---@field commands? table|fun(command: table): any by program or whole line: an exit code, or { code, output, signal }; nil, code fails
---@field outputs? table<string, string> the last output of processes of the plan, by name
---@field dns? table<string, any> addresses by name
---@field status? table|fun(): table what the engine knows; metrics and report likewise
---@field metrics? table|fun(): table
---@field report? table|fun(): table
---@field state? table what the flow has kept so far
---@field fakes? table<string, function> any other call of the API by its name: { ["net.tcp"] = function(options) … end }

--- Loads a flow, so that a spec can call its functions.
---@param name string
---@param given? testing.given
---@return testing.flow
function tend.load(name, given)
  local ok, result = pcall(function() return flow.load(name, world.new(given, name)) end)
  if ok then return result end
  return error(tostring(result), 2)
end

--- A world without a flow, for modules: tend.world { … }:require "policies.scale".
---@param given? testing.given
---@return testing.world
function tend.world(given)
  return world.new(given)
end

--- The plan that tend makes of a flow (`tend check --json`), and what is wrong with it and the settings.
---@param name string
---@param options? testing.options
---@return table plan, table[] problems
function tend.plan(name, options)
  local answer = program.ask({ "check", "--flow-name", name, "--json" }, options and options.settings, 2)
  return answer.plan, answer.problems or {}
end

--- "1h30m" or a number as seconds.
---@param time number|string
---@return number
function tend.seconds(time)
  return times.seconds(time, 2)
end

return tend
