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

--- Starts a contestant with n children: a run, to be closed.
function rounds.start(c, n, o)
  local place = lab.place()
  local argv, env = c:make(place, n)
  local run = { place = place, argv = argv, env = env, n = n, pid1 = c.pid1, orphans = c.orphans, timeout = 20 }
  for k, v in pairs(o or {}) do run[k] = v end
  return lab.start(run)
end

--- measure(contestant, round) returns { key = number or list of numbers }. A slow contestant takes part in each slow-th round only.
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
      if not o.failed and (round - 1) % (c.slow or 1) == 0 then
        local ok, values = pcall(measure, c, round)
        if not ok then
          o.failed = tostring(values)
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

--- One table of the page out of an outcome. limit(contestant) → { times = 6 } (of its floor), { most = 700 }, { least = 0.9, of =
--- name } or nil; o: title, key, unit, floor (its name; false: no ratios).
function rounds.table(outcome, o)
  local t = { title = o.title, unit = o.unit, about = o.about, ratio = o.floor ~= false, rows = {} }
  for _, one in ipairs(outcome) do
    local c = one.contestant
    local samples = one.samples[o.key]
    if samples and #samples > 0 or one.failed and (c.ours or not c.against) then
      local against = outcome[c.against or o.floor or "floor"]
      local ratios = {}
      for round, m in pairs(one.medians[o.key] or {}) do
        local base = against and against.medians[o.key] and against.medians[o.key][round]
        if base and base > 0 then ratios[#ratios + 1] = m / base end
      end
      t.rows[#t.rows + 1] = {
        name = c.name, ours = c.ours, samples = samples or {}, ratios = o.floor ~= false and ratios or {}, failed = one.failed, note = c.note,
        limit = o.limit and c.ours and o.limit(c) or nil,
      }
    end
  end
  return t
end

return rounds
