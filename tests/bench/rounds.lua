-- Measures contestants in rounds: each round takes every contestant once, the order turned and mirrored from round to round, so
-- that drift of the machine and what the one before left behind touch all alike. Ratios are taken within a round.
local lab = require "lab"
local stats = require "stats"

local rounds = {}

local function order(list, round)
  local turned, n = {}, #list
  for i = 1, n do turned[i] = list[(i + round - 2) % n + 1] end
  if round % 2 == 0 then
    for i = 1, n // 2 do turned[i], turned[n + 1 - i] = turned[n + 1 - i], turned[i] end
  end
  return turned
end

--- Starts a contestant with n children: a run, to be closed. o: what lab.start takes, and child, another one than the silent.
function rounds.start(c, n, o)
  local place = lab.place(o and o.child)
  local argv, env = c:make(place, n)
  local run = { place = place, argv = argv, env = env, n = n, pid1 = c.pid1, orphans = c.orphans, timeout = 20 }
  for k, v in pairs(o or {}) do run[k] = v end
  return lab.start(run)
end

--- measure(contestant, round) returns { key = number or list of numbers }; error { skip = "why" } leaves it out. A slow contestant takes part in each slow-th round only.
--- The outcome: by contestant { contestant, samples = { key = list }, medians = { key = { [round] = median } }, failed }.
function rounds.run(contestants, n, measure)
  local outcome = {}
  for i, c in ipairs(contestants) do
    outcome[i] = { contestant = c, samples = {}, medians = {} }
    outcome[c.name] = outcome[i]
  end
  for round = 1, n do
    for _, c in ipairs(order(contestants, round)) do
      local o = outcome[c.name]
      if not o.failed and not o.skip and (round - 1) % (c.slow or 1) == 0 then
        lab.wait_quiet()
        local ok, values = pcall(measure, c, round)
        if not ok and type(values) == "table" then -- it cannot do this here
          o.skip = values.skip
          lab.close_all()
        elseif not ok then
          o.failed = tostring(values)
          lab.close_all()
          io.stderr:write(("  %s: %s\n"):format(c.name, o.failed))
        else
          for key, v in pairs(values) do
            local list = type(v) == "table" and v or { v }
            o.samples[key] = table.move(list, 1, #list, #(o.samples[key] or {}) + 1, o.samples[key] or {})
            o.medians[key] = o.medians[key] or {}
            o.medians[key][round] = stats.median(list)
          end
        end
      end
    end
  end
  return outcome
end

--- One table of the page out of an outcome. o: title, key, unit, about; more = true where more is better; floor = the contestant that
--- ratios are of (floor; false: none); limit(contestant) → { times | times_least = of the floor } or { most | least = value },
--- on = "high" where the 90th percentile is held to it, "max" where all samples are; or nil.
function rounds.table(outcome, o)
  local base_name = o.floor == nil and "floor" or o.floor
  local t = { title = o.title, unit = o.unit, about = o.about, more = o.more, ratio = base_name, rows = {} }
  for _, one in ipairs(outcome) do
    local c = one.contestant
    local samples = one.samples[o.key]
    local against = base_name and outcome[base_name == "floor" and c.against or base_name]
    local ratios = {}
    for round, m in pairs(one.medians[o.key] or {}) do
      local base = against and against.medians[o.key] and against.medians[o.key][round]
      if base and base > 0 then ratios[#ratios + 1] = m / base end
    end
    if one.failed or one.skip or samples and #samples > 0 then
      t.rows[#t.rows + 1] = {
        name = c.name, ours = c.ours, samples = samples or {}, ratios = ratios, failed = one.failed, skip = one.skip, note = c.note,
        limit = o.limit and c.ours and o.limit(c) or nil,
      }
    end
  end
  return t
end

return rounds
