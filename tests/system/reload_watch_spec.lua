-- Changes on disk are loaded by themselves: however they are written, and where inotify cannot be had.
local h = require "harness"
local R = require "reloading"

local function body(n)
  return ([[processes = { main = { command = { "sleep", "1000" } } },
    cleanup = { { name = "c%d", run = function() end } },]]):format(n)
end

local function loaded(r, n)
  local name = "c" .. n
  return h.wait_for(function()
    for _, e in ipairs(r.p:events("policy_reloaded")) do
      local cleanup = e.details.difference.cleanup
      for _, added in ipairs(cleanup and cleanup.added or {}) do
        if added == name then return e end
      end
    end
  end, 10, name .. " to be loaded")
end

describe("a change on disk", function()
  it("is seen when the file is replaced, written in place, and by its links", function()
    local r = R.start(body(0), { watch = true })
    h.wait_for(function() return r:status().policy.watching end, 10, "the watch")
    r:write(body(1))
    assert.equal("watch", loaded(r, 1).details.trigger)
    h.write(r.file, (h.read(r.file):gsub("c1", "c2")))
    loaded(r, 2)
    h.write(r.dir .. "/elsewhere", (h.read(r.file):gsub("c2", "c3")))
    os.execute(("ln -sfn %s/elsewhere %s"):format(r.dir, r.file))
    loaded(r, 3)
    h.write(r.dir .. "/elsewhere", (h.read(r.file):gsub("c3", "c4"))) -- behind the link
    loaded(r, 4)
    assert.equal(4, #r.p:events("policy_reloaded"))
    assert.equal(0, #r.p:events("policy_rejected"))
  end)

  it("is seen in all that is required, also what a flow requires anew", function()
    local text = "return { { name = 'c%d', run = function() end } }"
    local r = R.start([[processes = { main = { command = { "sleep", "1000" } } }, cleanup = require "parts.list",]],
      { watch = true, scripts = { ["parts/list.lua"] = text:format(1) } })
    h.wait_for(function() return r:status().policy.watching end, 10, "the watch")
    r:script("parts/list.lua", text:format(2))
    loaded(r, 2)
    r:script("parts/list.lua", "return require 'other.list'")
    r.p:wait_event("policy_rejected")
    r:script("other/list.lua", text:format(3)) -- what was missing comes
    loaded(r, 3)
    r:script("other/list.lua", text:format(4))
    loaded(r, 4)
  end)

  it("is seen when a ConfigMap volume is swapped", function()
    local dir = h.tempdir()
    local function version(n)
      os.execute(("mkdir -p %s/..v%d"):format(dir, n))
      h.write(("%s/..v%d/some.lua"):format(dir, n), "return { name = \"some\", mode = \"server\",\n" .. body(n) .. "}")
    end
    -- as a kubelet does: the files are links through ..data, which is replaced by a rename
    local function swap(n)
      version(n)
      os.execute(("ln -s ..v%d %s/..data_tmp && mv -T %s/..data_tmp %s/..data"):format(n, dir, dir, dir))
      os.execute(("rm -rf %s/..v%d"):format(dir, n - 1))
    end
    swap(1)
    os.execute(("ln -s ..data/some.lua %s/some.lua"):format(dir))
    local p = h.spawn { args = { "run", "--flow-name", "some", "--flows", dir } }
    p:wait_event("startup_completed")
    local s = { p = p }
    h.wait_for(function() return R.status(s).policy.watching end, 10, "the watch")
    for n = 2, 4 do
      swap(n)
      loaded(s, n)
    end
    assert.equal(3, #p:events("policy_reloaded"))
    assert.equal(0, #p:events("policy_rejected"))
  end)

  it("that is half written waits until it is whole", function()
    local r = R.start(body(0), { watch = true })
    h.wait_for(function() return r:status().policy.watching end, 10, "the watch")
    local whole = h.read(r.file):gsub("c0", "c1")
    local f = assert(io.open(r.file, "wb"))
    for i = 1, #whole, 40 do -- slower than what counts as quiet
      f:write(whole:sub(i, i + 39))
      f:flush()
      local watch = h.stopwatch()
      h.wait_for(function() return watch() > 0.05 end, 5, "a moment")
    end
    f:close()
    loaded(r, 1)
    assert.equal(0, #r.p:events("policy_rejected"))
  end)

  it("that was refused is not tried again until it changes", function()
    local r = R.start(body(0), { watch = true })
    h.wait_for(function() return r:status().policy.watching end, 10, "the watch")
    local good = h.read(r.file)
    h.write(r.file, "return {")
    r.p:wait_event("policy_rejected")
    h.write(r.dir .. "/flows/other.lua", "return {}") -- something else comes and goes
    os.remove(r.dir .. "/flows/other.lua")
    h.write(r.file, "return { ")
    r:wait_count("policy_rejected", 2)
    assert.equal(2, #r.p:events("policy_rejected"))
    h.write(r.file, (good:gsub("c0", "c1")))
    loaded(r, 1)
    assert.equal(2, #r.p:events("policy_rejected"))
    assert.is_nil(r:status().policy.last.detail)
  end)

  it("is left alone in mode manual", function()
    local r = R.start(body(0))
    r:write(body(1))
    r.p:kill("HUP") -- the one that is asked for
    loaded(r, 1)
    assert.equal("signal", r.p:events("policy_reloaded")[1].details.trigger)
    assert.equal(1, #r.p:events("policy_reloaded"))
    assert.is_false(r:status().policy.watching)
  end)

  it("is looked for at health rounds where inotify cannot be had", function()
    local ok = os.execute("unshare -Ur sh -c 'echo 0 > /proc/sys/user/max_inotify_instances' 2>/dev/null")
    if not ok then return h.skip("user namespaces are not possible here") end
    local dir = h.tempdir()
    h.write(dir .. "/some.lua", "return { name = \"some\", mode = \"server\",\n" .. body(0) .. "}")
    local env = { CONTAINER_HEALTH_CHECK_INTERVAL_SECONDS = "200ms", CONTAINER_ENVIRONMENT = "test", CONTAINER_HTTP_ADDRESS = "off",
      CONTAINER_MIN_FREE_DISK_MB = 1, CONTAINER_LOW_FREE_DISK_MB = 1 }
    for _, name in ipairs { "STATE", "LOG", "DATA", "OUTPUT" } do env["CONTAINER_" .. name .. "_DIR"] = dir .. "/" .. name end
    local p = h.start { env = env, argv = { "/usr/bin/unshare", "-Ur", "sh", "-c",
      "echo 0 > /proc/sys/user/max_inotify_instances; exec " .. h.tend .. " run --flow-name some --flows " .. dir } }
    p:wait_event("startup_completed")
    local said = h.wait_for(function()
      for _, e in ipairs(p:events("notice")) do
        if e.message:find("health round", 1, true) then return e end
      end
    end, 10, "the notice")
    assert.equal("WARNING", said.level)
    h.write(dir .. "/some.lua", "return { name = \"some\", mode = \"server\",\n" .. body(1) .. "}")
    loaded({ p = p }, 1)
  end)
end)
