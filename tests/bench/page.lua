-- The tables as text: for the terminal while the bench runs, and as the page docs/benchmarks.md.
local stats = require "stats"

local page = {}

local function pad(s, width, right)
  local length = utf8.len(s) or #s
  local fill = (" "):rep(math.max(0, width - length))
  return right and fill .. s or s .. fill
end

local function cells(row, ratio)
  local spread = row.n and row.n > 1 and ("%s – %s"):format(stats.text(row.low), stats.text(row.high)) or ""
  local held = row.limit_text or ""
  if row.skip then
    held = held .. " (not measured)"
  elseif row.unheld then
    held = held .. " (not held: " .. row.unheld .. ")"
  elseif row.limit_text then
    held = held .. (row.broken and " **broken**" or " ✓")
  end
  local value = row.skip and "–" or row.failed and "failed" or stats.text(row.value)
  local list = { value, spread, row.n and row.n > 0 and tostring(row.n) or "" }
  if ratio then list[4] = row.ratio and stats.text(row.ratio) or "" end
  list[#list + 1] = held
  return list
end

local function header(t)
  local list = { t.unit, "p10 – p90", "n" }
  if t.ratio then list[4] = "× " .. t.ratio end
  list[#list + 1] = "limit"
  return list
end

--- The value that is held to the limit.
function page.held(row)
  local on = row.limit and row.limit.on
  if on == "high" and row.high then return "p90 " .. stats.text(row.high) end
  if on == "max" and row.max then return "max " .. stats.text(row.max) end
  return stats.text(row.value)
end

--- What a row says in one phrase.
function page.said(row, t)
  return ("%s %s%s"):format(page.held(row), t.unit,
    t.ratio and row.ratio and (", %s × %s"):format(stats.text(row.ratio), t.ratio) or "")
end

--- For the terminal.
function page.print(t)
  local lines = { { t.title, table.unpack(header(t)) } }
  for _, row in ipairs(t.rows) do lines[#lines + 1] = { "  " .. row.name, table.unpack(cells(row, t.ratio)) } end
  local width = {}
  for _, line in ipairs(lines) do
    for i, c in ipairs(line) do width[i] = math.max(width[i] or 0, utf8.len(c)) end
  end
  for _, line in ipairs(lines) do
    local out = {}
    for i, c in ipairs(line) do out[i] = pad(c, width[i], i > 1 and i < #line) end
    print((table.concat(out, "  "):gsub("%s+$", "")))
  end
  print()
end

local function sorted(rows)
  local list = table.move(rows, 1, #rows, 1, {})
  local place = {}
  for i, row in ipairs(rows) do place[row] = i end
  table.sort(list, function(a, b)
    local va, vb = a.value or math.huge, b.value or math.huge
    if va ~= vb then return va < vb end
    return place[a] < place[b]
  end)
  return list
end

local function table_of(t, out)
  out[#out + 1] = ("### %s, %s\n"):format(t.title, t.unit)
  if t.about then out[#out + 1] = t.about .. "\n" end
  local head = header(t)
  out[#out + 1] = "| | " .. table.concat(head, " | ") .. " |"
  out[#out + 1] = "| --- |" .. (" ---: |"):rep(#head - 1) .. " --- |"
  local notes = {}
  for _, row in ipairs(sorted(t.rows)) do
    local name = row.ours and "**" .. row.name .. "**" or row.name
    out[#out + 1] = ("| %s | %s |"):format(name, table.concat(cells(row, t.ratio), " | "))
    if row.skip then notes[#notes + 1] = ("%s is not measured: %s."):format(row.name, row.skip) end
    if row.failed then notes[#notes + 1] = ("%s: %s."):format(row.name, row.failed) end
    if row.note then notes[#notes + 1] = ("%s: %s."):format(row.name, row.note) end
  end
  out[#out + 1] = ""
  if #notes > 0 then out[#out + 1] = table.concat(notes, " ") .. "\n" end
end

local function summary(results, out)
  out[#out + 1] = "| figure | tend | | limit |"
  out[#out + 1] = "| --- | ---: | ---: | --- |"
  for _, result in ipairs(results) do
    for _, t in ipairs(result.tables) do
      for _, row in ipairs(t.rows) do
        if row.ours and row.limit then
          local c = cells(row, true)
          out[#out + 1] = ("| %s: %s | %s%s | %s | %s |"):format(t.title, row.name,
            row.limit.on and row.max and page.held(row) or c[1], row.skip and "" or " " .. t.unit,
            t.ratio and c[4] ~= "" and c[4] .. " × " .. t.ratio or "", c[5])
        end
      end
    end
  end
  out[#out + 1] = ""
end

-- Where a peer does better than the best of ours.
local function behind(results, out)
  local lines = {}
  for _, result in ipairs(results) do
    for _, t in ipairs(result.tables) do
      local best
      for _, row in ipairs(t.rows) do
        if row.ours and row.value and (not best or (t.more and row.value > best.value or not t.more and row.value < best.value)) then best = row end
      end
      local better = {}
      for _, row in ipairs(t.rows) do
        if best and row.peer and row.value and (t.more and row.value > best.value or not t.more and row.value < best.value) then
          better[#better + 1] = ("%s %s"):format(row.name, stats.text(row.value))
        end
      end
      if #better > 0 then
        lines[#lines + 1] = ("- %s, %s: %s (%s); better: %s."):format(t.title, t.unit, stats.text(best.value), best.name, table.concat(better, ", "))
      end
    end
  end
  if #lines > 0 then
    out[#out + 1] = "## Where a peer is better\n"
    table.move(lines, 1, #lines, #out + 1, out)
    out[#out + 1] = ""
  end
end

--- The page; about = { date, machine, versions, build, notes = { text } }.
function page.markdown(results, about)
  local out = { "# Benchmarks\n", "<!-- written by `make bench` -->\n", ("Measured on %s on %s. %s\n"):format(about.date, about.machine, about.build), about.versions .. "\n" }
  for _, note in ipairs(about.notes) do out[#out + 1] = note .. "\n" end
  summary(results, out)
  behind(results, out)
  for _, result in ipairs(results) do
    out[#out + 1] = ("## %s\n"):format(result.title)
    for _, t in ipairs(result.tables) do table_of(t, out) end
  end
  return (table.concat(out, "\n"):gsub("\n+$", "\n"))
end

return page
