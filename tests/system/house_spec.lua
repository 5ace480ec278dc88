-- The house itself: the test runner, the layers, the generated docs, the installed tree, completion, the man page.
local h = require "harness"

describe("the test runner", function()
  local function run_files(files)
    local dir = h.tempdir()
    local list = {}
    for name, text in pairs(files) do list[#list + 1] = h.quote(h.write(dir .. "/" .. name, text)) end
    local out, code = h.sh(("RESULTS=%s/results TEST_TIMEOUT=2 tests/run.sh %s"):format(h.quote(dir), table.concat(list, " ")))
    return out:match("([^\n]*)\n$"), code, out
  end

  it("counts what passed, failed and was skipped", function()
    local last, code, out = run_files {
      ["a_spec.lua"] = 'it("one", function() assert.is_true(true) end) it("two", function() pending("for a reason") end)',
      ["b_spec.lua"] = 'it("three", function() assert.is_true(true) end)',
    }
    assert.equal("2 passed, 0 failed, 1 skipped", last)
    assert.equal(0, code)
    assert.truthy(out:find("skipped: .*two.*for a reason"))
    last, code = run_files { ["a_spec.lua"] = 'it("one", function() assert.is_true(false) end)' }
    assert.equal("0 passed, 1 failed, 0 skipped", last)
    assert.equal(1, code)
  end)

  it("is red for what does not parse, ends early, hangs, or tests nothing", function()
    for name, text in pairs {
      syntax = "it(", empty = "local a = 1 return a", raises = 'error("at the top")',
      early = 'it("one", function() os.exit(0) end)', hangs = 'it("one", function() while true do end end)',
      setup = 'describe("x", function() setup(function() error("no") end) it("one", function() end) end)',
    } do
      local last, code = run_files { [name .. "_spec.lua"] = text }
      assert.equal(1, code, name)
      assert.truthy(last:find("[1-9] failed"), name .. ": " .. last)
    end
  end)

  it("is red when nothing ran", function()
    local last, code = run_files {}
    assert.equal("0 passed, 0 failed, 0 skipped", last)
    assert.equal(1, code)
  end)
end)

-- The program of the journal's process, where tend is that file. All that it writes is there, and a
-- handler of the cleanup does its work.
local function journal(program)
  local dir = h.tempdir()
  h.write(dir .. "/a.tmp", "")
  h.write(dir .. "/f.lua", ([[return { name = "f", processes = { main = { command = { "sleep", "1000" } } },
    cleanup = { { name = "tidy", kind = "remove_temporary", params = { path = %q, older_than_s = 0 } } } }]]):format(dir))
  local p = h.spawn { program = program, args = { "run", "--flow-name", "f", "--flows", dir } }
  p:wait_event "startup_completed"
  local found
  h.wait_for(function()
    for _, pid in ipairs(p:children()) do
      local words = h.read(("/proc/%d/cmdline"):format(pid)) or ""
      if words:find("^tend%zhelper%zjournal%z") and h.stat(pid).name == "tend" then found = pid end
    end
    return found
  end, 10, "the journal, by the name of tend")
  local exe = h.sh(("readlink /proc/%d/exe"):format(found)):gsub("%s+$", "")
  p:kill "TERM"
  assert.equal(0, (p:wait()))
  assert.equal("ok", p:events("cleanup_completed")[1].details.result)
  assert.is_false(h.exists(dir .. "/a.tmp"))
  assert.equal(p.err, h.read(p.dir .. "/logs/events.jsonl"))
  return exe
end

describe("the house", function()
  it("keeps its layers", function()
    local out, code = h.sh "tests/layers.sh"
    assert.equal("", out)
    assert.equal(0, code)
  end)

  it("has docs that agree with the code", function()
    local out, code = h.sh "docs/generate.sh --check"
    assert.equal(0, code, out)
  end)

  it("installs a tree that works where it is", function()
    local dir = h.tempdir()
    local out, code = h.sh(("make -s install BUILD=%s DESTDIR=%s PREFIX=/usr"):format(h.build, h.quote(dir)))
    assert.equal(0, code, out)
    for _, path in ipairs { "bin/tend", "share/man/man1/tend.1", "share/bash-completion/completions/tend", "share/zsh/site-functions/_tend",
      "share/tend/scripts", "share/tend/flows", "lib/tend/tend-helper" } do
      assert.is_true(h.exists(dir .. "/usr/" .. path), path)
    end
    local p = assert(h.start { argv = { dir .. "/usr/bin/tend", "version" }, cwd = "/" })
    assert.equal(0, (p:wait()))
    assert.equal(dir .. "/usr/lib/tend/tend-helper", (journal(dir .. "/usr/bin/tend")))
  end)

  it("hardens the binary", function()
    local out, code = h.sh("readelf -hdlW " .. h.quote(h.tend))
    if code ~= 0 then return pending("readelf is not there") end
    assert.truthy(out:find("DYN (Position-Independent", 1, true))
    assert.truthy(out:find("GNU_RELRO", 1, true))
    assert.truthy(out:find("BIND_NOW", 1, true) or out:find("Flags: NOW", 1, true))
    assert.is_nil(out:find("GNU_STACK[^\n]*RWE"))
  end)
end)

describe("completion", function()
  local state = "/nowhere" -- no engine
  local function complete(...)
    local words = {}
    for i, w in ipairs { ... } do words[i] = h.quote(w) end
    local script = ([[
      CONTAINER_STATE_DIR=%s; export CONTAINER_STATE_DIR; PATH=%s/%s:$PATH; . deploy/completion/tend.bash
      COMP_WORDS=(tend %s); COMP_CWORD=%d; _tend; printf '%%s ' "${COMPREPLY[@]}"]])
      :format(state, h.top, h.build, table.concat(words, " "), #words)
    local out = h.sh("bash -c " .. h.quote(script))
    return " " .. out
  end

  it("knows commands, options and choices", function()
    assert.equal(" version ", complete "ver")
    assert.truthy(complete(""):find(" help ", 1, true))
    assert.truthy(complete("run", "--"):find(" --flow-name ", 1, true))
    assert.equal(" simple ", complete("run", "--mode", "s"))
    assert.equal(" version ", complete("help", "ver"))
    assert.equal(" rpa1 rpa2 rpa3 ", complete("test", "rp"))
    assert.equal(" --json ", complete("test", "--j"))
    assert.truthy(complete("explain", "depend"):find(" dependency_failed ", 1, true))
    assert.truthy(complete("explain", "CONTAINER_RESTART_P"):find(" CONTAINER_RESTART_POLICY ", 1, true))
  end)

  it("leaves the command after -- to the shell", function()
    assert.truthy(complete("run", "--", "Makef"):find(" Makefile ", 1, true))
  end)

  it("knows what asks an engine, its choices, and what the engine has", function()
    assert.equal(" on off ", complete("maintenance", ""))
    assert.equal(" for ", complete("maintenance", "on", ""))
    assert.equal(" WARNING ", complete("events", "--level", "W"))
    assert.equal(" DEBUG ", complete("log-level", "D"))
    assert.equal(" --follow --flow-name ", complete("events", "--f"))
    local dir = h.tempdir()
    h.write(dir .. "/names.lua", [[
      control.command { name = "greet", help = "says hello", run = print, args = { { name = "how", choices = { "softly", "loudly" } },
        { name = "times", type = "integer", option = true } } }
      return { mode = "server", processes = { main = { command = { "sleep", "1000" } }, side = { command = { "sleep", "1000" } } },
        checks = { { name = "disk", kind = "directory", params = { path = "/" } } } }]])
    local p = h.spawn { args = { "run", "--flow-name", "names", "--flows", dir } }
    p:wait_event "startup_completed"
    local function live(...)
      state = p.env.CONTAINER_STATE_DIR
      local out = complete(...)
      state = "/nowhere"
      return out
    end
    assert.equal(" main side ", live("restart", ""))
    assert.equal(" side ", live("logs", "s"))
    assert.equal(" disk ", live("check-now", ""))
    assert.equal(" greet ", live "gre")
    assert.equal(" softly loudly ", live("greet", ""))
    assert.truthy(live("greet", "--"):find(" --times ", 1, true))
  end)

  it("works in zsh", function()
    if select(2, h.sh "command -v zsh") ~= 0 then return pending("zsh is not there") end
    local out, code = h.sh "zsh -n deploy/completion/_tend"
    assert.equal(0, code, out)
    local script = h.write(h.tempdir() .. "/type", ([==[
      zmodload zsh/zpty || exit 77
      zpty z zsh -f -i
      zpty -w z "PS1=; PATH=%s/%s:\$PATH; fpath=($PWD/deploy/completion \$fpath); autoload -U compinit; compinit -u -D"
      # ^T tells what stands on the line
      zpty -w z 'tell() { print -r -- "<<$BUFFER>>"; BUFFER=; }; zle -N tell; bindkey "^T" tell; print rea""dy'
      zpty -r -m z x '*ready*' || exit 1
      for line in "tend maint" "tend maintenance of" "tend run --mode s" "tend log-level W"; do
        zpty -w -n z "$line"$'\t\024'
        zpty -r -m z x '*<<*>>*'
        print -r -- "${${x##*<<}%%%%>>*}"
      done
      zpty -d z
    ]==]):format(h.top, h.build))
    out, code = h.sh("zsh -f " .. script)
    if code == 77 then return pending("zsh has no zpty here") end
    assert.equal(0, code, out)
    for line in ("tend maintenance\ntend maintenance off\ntend run --mode simple\ntend log-level WARNING\n"):gmatch "[^\n]+" do
      assert.truthy(("\n" .. out):find("\n" .. line, 1, true), out)
    end
  end)
end)

describe("the man page", function()
  it("has every command of the help, and no others", function()
    local man = h.read("docs/tend.1"):match("\n%.SH COMMANDS\n(.-)\n%.SH"):gsub("\\%-", "-")
    local _, help = h.run { args = { "help" } }
    local known, told = {}, {}
    for name in help:gmatch("\n  ([%l-]+) ") do known[name] = true end
    for line in man:gmatch("%.TP\n(%C+)") do
      -- ".BI name arguments", or ".BR name , name arguments" with the arguments in another font
      line = line:match("^%.BI? (%S+)") or line:gsub("\\fR.*", "")
      for word in line:gmatch("%f[%l-][%l-]+%f[^%l-]") do told[word] = true end
    end
    for name in pairs(known) do assert.is_true(told[name], name .. " is not in docs/tend.1") end
    for name in pairs(told) do assert.is_true(known[name], name .. " is in docs/tend.1, but no command") end
  end)

  it("is clean to groff", function()
    local out, code = h.sh "command -v groff >/dev/null || exit 77; groff -man -Tutf8 -ww -z docs/tend.1"
    if code == 77 then return pending("groff is not there") end
    assert.equal("", out)
  end)
end)

describe("the helpers", function()
  it("clean a folder by the rules, from the command line", function()
    local dir = h.tempdir()
    h.write(dir .. "/a.tmp", "12345")
    h.write(dir .. "/data", "12345")
    local code, out = h.run { args = { "helper", "clean", dir, "--dry-run" } }
    assert.equal(0, code)
    assert.truthy(out:find('"files": ["a.tmp"]', 1, true))
    code, out = h.run { args = { "helper", "clean", dir } }
    assert.equal(0, code)
    assert.truthy(out:find('"removed": 1, "bytes": 5', 1, true))
    assert.is_nil(h.read(dir .. "/a.tmp"))
    assert.equal("12345", h.read(dir .. "/data"))
    local _, err
    code, _, err = h.run { args = { "helper", "clean", "/" } }
    assert.equal(1, code)
    assert.truthy(err:find("refused", 1, true))
  end)

  it("are a small program of their own", function()
    assert.equal(h.tend .. "-helper", (journal()))
  end)

  it("are tend itself where that program is missing, may not be executed or belongs to somebody else", function()
    local function copied(line)
      local dir = h.tempdir()
      h.sh(("cd %s && cp %s . && %s"):format(dir, h.quote(h.tend), line:format(h.quote(h.tend))))
      assert.equal(dir .. "/tend", (journal(dir .. "/tend")))
    end
    copied "true"
    copied "cp %s-helper . && chmod a-x tend-helper"
    copied "echo nothing >tend-helper && chmod a+x tend-helper"
    if h.root then copied "cp %s-helper . && chown 12345 tend-helper" end
  end)
end)
