-- Every command that README and docs/ tell a reader to type is typed, in a sandbox (pages.lua), in the order of the page, and
-- must end with 0 and, where the page shows it, print what is shown. A flow that a page shows is written to the file that it names.
local h = require "harness"
local pages = require "pages"
local postgres = require "postgres"
local typing = require "typing"

-- Pages with commands that need something around them, by path:
--   own: commands that a flow of the page adds; env: the sandbox's environment; before(box): what must be there; commands: by text what is not the rule:
--     { code = N } another exit code; { test = "FILE", says = "TEXT", why = "…" } it cannot be typed here, FILE does the same and
--     holds TEXT. A text that ends with "…" stands for all that begin so. What is no longer on the page must not be here.
local PAGES = {
  ["README.md"] = {
    commands = {
      ["make run"] = { test = "tests/system/make_run_spec.lua", says = "deploy/local/run.sh", why = "it installs packages and does not end" },
      ["make test"] = { test = "tests/system/house_spec.lua", says = "tests/run.sh", why = "it runs this very test" },
    },
  },
  ["docs/docker.md"] = {
    commands = { ["…"] = { test = "tests/container/docs_spec.lua", says = 'PAGE = "docs/docker.md"', why = "there are real containers" } },
  },
  ["docs/operations.md"] = {
    env = { CONTAINER_ENVIRONMENT = "test", CONTAINER_LOG_STREAM = "stdout", CONTAINER_RESTART_DELAY_SECONDS = "0" },
    before = function(box)
      box:write("flows/ops.lua", [[return { mode = "server",
        checks = { { name = "disk", kind = "directory", params = { path = "/" } } }, remedies = { { name = "disk", check = "disk", steps = {
        { kind = "rotate_logs", params = { path = settings.get "CONTAINER_LOG_DIR" } } } } }, processes = { main = { command = { "sh", "-c",
        "echo here; [ -e once ] || { touch once; exit 1; }; exec sleep 1000" } } } }]])
      box:type "tend run --flow-name ops"
      box.running:wait_event "restart_initiated"
      h.wait_for(function() return select(2, box:type "tend status"):find("RUNNING", 1, true) end)
    end,
  },
  ["docs/reload.md"] = {
    env = { CONTAINER_ENVIRONMENT = "test" },
    before = function(box)
      box:write("flows/some.lua", [[return { mode = "server", processes = { main = { command = { "sleep", "1000" } } } }]])
      box:type "tend run --flow-name some"
      box.running:wait_event "startup_completed"
    end,
    commands = {
      ["echo …"] = { test = "tests/system/reload_settings_spec.lua", says = "second-password", why = "a database has its password changed" },
    },
  },
  ["docs/repl.md"] = { env = { CONTAINER_ENVIRONMENT = "test", TEND_HISTORY = "" } },
  ["docs/probes.md"] = { env = { CONTAINER_ENVIRONMENT = "test" } },
  ["docs/recipes.md"] = { env = { CONTAINER_ENVIRONMENT = "test" } },
  ["docs/control.md"] = { own = { orders = true, hold = true }, commands = { ["tend hold 9"] = { code = 1 } } },
  ["docs/flows.md"] = {
    env = { CONTAINER_ENVIRONMENT = "test", CONTAINER_EXECUTION_MODE = "single", CONTAINER_MAX_MEMORY_MB = "16", CONTAINER_MAX_CPU_PERCENT = "1",
      CONTAINER_RPA3_CONCURRENT_WORKERS = "1", CONTAINER_RESTART_DELAY_SECONDS = "0" },
    before = function(box)
      box.db = postgres.start()
      box.env.CONTAINER_RPA_DB_CONNECTION_STRING = box.db:uri()
      -- the jobs make their tables
      for _, flow in ipairs { "rpa2", "rpa3" } do
        box:type("tend run --flow-name " .. flow)
        box.running:wait(30)
        local code, out = box:finish()
        assert.equal(0, code, out)
      end
    end,
  },
}

local function all_pages()
  local list = { "README.md" }
  for path in h.sh("ls docs/*.md"):gmatch "%S+" do list[#list + 1] = path end
  return list
end

describe("what a page tells to type works:", function()
  for _, page in ipairs(all_pages()) do
    local blocks = pages.blocks(page)
    local given = PAGES[page] or {}
    local typed = false
    for _, block in ipairs(blocks) do typed = typed or block.kind == "sh" or block.kind == "lua" or block.kind == "sql" end
    if typed and page ~= "docs/tutorial.md" then it(page, function() -- that one has a file of its own: it waits a lot
      local box = typing.page(page, given)
      if page == "docs/flows.md" then
        for _, query in ipairs { "select state from rpa2_records", "select state from rpa3_queue" } do assert.equal("waiting", box.db:sql(query)) end
      end
    end) end
  end
end)

describe("the man page", function()
  it("has examples that work", function()
    local box = pages.sandbox { CONTAINER_ENVIRONMENT = "test" }
    local n = 0
    for line in h.read("docs/tend.1"):match("%.SH EXAMPLES\n%.nf\n(.-)%.fi"):gsub("\\%-", "-"):gmatch("%C+") do
      n = n + 1
      local code, out = box:type(line)
      assert.equal(0, code, line .. "\n" .. out)
    end
    assert.is_true(n > 3)
    assert.equal(0, (box:finish()))
  end)
end)

describe("the pages", function()
  it("have no block of which nobody knows what it is", function()
    local known = { sh = true, lua = true, sql = true, picture = true, dockerfile = true, yaml = true, json = true, text = true, promql = true, python = true,
      repl = true } -- a session: typed by repl_spec.lua
    for _, page in ipairs(all_pages()) do
      for _, block in ipairs(pages.blocks(page)) do
        assert.is_true(known[block.kind] or false, ("%s:%d: %s"):format(page, block.line, block[1]))
      end
    end
  end)

  it("name commands, options and make targets that are there", function()
    local help, n = {}, 0
    local targets = h.read "Makefile"
    local function help_of(word)
      if not help[word] then
        local code, out = h.run { args = { "help", word } }
        help[word] = { code = code, out = out }
      end
      return help[word]
    end
    for _, page in ipairs(all_pages()) do
      local list = pages.inline(page)
      for _, block in ipairs(pages.blocks(page)) do
        for _, command in ipairs(block.kind == "sh" and pages.commands(block) or {}) do list[#list + 1] = command.text end
      end
      for _, code in ipairs(list) do
        local target = code:match "^make ([%l-]+)"
        local word, rest = code:match "tend ([%l-]+)(.*)$"
        if target then
          n = n + 1
          assert.truthy(targets:find("\n" .. target:gsub("%-", "%%-") .. ":") or targets:find("%f[%w-]" .. target:gsub("%-", "%%-") .. "%f[^%w-]"), page .. ": " .. code)
        elseif word and h.read(page):find(('control.command {\n  name = "%s"'):format(word), 1, true) then
          n = n + 1 -- a flow of this page has it
        elseif word and word ~= "helper" and not ((PAGES[page] or {}).own or {})[word] then
          n = n + 1
          assert.equal(0, help_of(word).code, page .. ": " .. code)
          rest = rest:gsub(" %-%- .*", ""):gsub("|.*", "")
          for option in rest:gmatch " (%-%-[%l-]+)" do
            assert.truthy(help_of(word).out:find("  " .. option:gsub("%-", "%%-") .. "%f[^%w-]"), page .. ": " .. code)
          end
        end
      end
    end
    assert.is_true(n > 30)
  end)

  it("link to what is there", function()
    for _, page in ipairs(all_pages()) do
      for target in h.read(page):gmatch "%]%(([^)#]+)[^)]*%)" do
        if not target:find "^https?:" then
          local path = page:find "^docs/" and "docs/" .. target or target
          assert.is_true(h.exists(path), page .. ": " .. target)
        end
      end
    end
  end)
end)

describe("the shape of what a command prints", function()
  it("has any number for a number, and … for anything", function()
    assert.is_true(pages.same_shape({ "a 3 s… b", "…", "c" }, "x\na 12 s, and so on, b\nwhatever\n  c\n"))
    assert.is_false(pages.same_shape({ "a", "b" }, "b\na\n"))
    assert.is_false((pages.same_shape({ "100 %" }, "some %\n")))
  end)
end)
