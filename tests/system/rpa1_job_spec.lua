-- The job of flow rpa1 against a real PostgreSQL and real files: every record exactly once, whatever happens.
local h = require "harness"
local killing = require "killing"
local postgres = require "postgres"

describe("the job of rpa1", function()
  local db, dir

  local function environment(more)
    local env = {
      CONTAINER_FLOW_NAME = "rpa1", CONTAINER_RPA_DB_CONNECTION_STRING = db:uri(), CONTAINER_RPA1_INPUT_DIR = dir .. "/in",
      CONTAINER_RPA1_OUTPUT_DIR = dir .. "/out", CONTAINER_LOG_LEVEL = "DEBUG",
    }
    for name, value in pairs(more or {}) do env[name] = value end
    return env
  end

  local function spawn(more) return h.spawn { args = { "script", "flows/jobs/rpa1.lua" }, env = environment(more) } end

  local function run(more, expected)
    local p = spawn(more)
    local code = p:wait(60)
    assert.equal(expected or 0, code, p.out .. p.err)
    return p
  end

  -- A complete file: its time is long ago.
  local function put(name, text)
    local path = h.write(dir .. "/in/" .. name .. ".new", text)
    h.sh(("touch -d '1 minute ago' %s && mv %s %s"):format(h.quote(path), h.quote(path), h.quote(dir .. "/in/" .. name)))
  end

  local function rows(from, to, pad)
    local lines = { "id,name,quantity,unit_price" }
    for i = from, to do lines[#lines + 1] = ('%d,"name %d, %s",%d,%d.50'):format(i, i, pad or "", i % 7, i) end
    return table.concat(lines, "\r\n") .. "\r\n"
  end

  -- How often each id is in the output files: a map, and the number of lines in all.
  local function output()
    local seen, n = {}, 0
    for line in h.sh(("cat %s/out/*.csv 2>/dev/null"):format(h.quote(dir))):gmatch "[^\n]+" do
      local id = line:match "^(%d+),"
      if id then
        seen[id] = (seen[id] or 0) + 1
        n = n + 1
      end
    end
    return seen, n
  end

  local function assert_once(from, to)
    local seen, n = output()
    for i = from, to do assert.equal(1, seen[tostring(i)] or 0, "record " .. i) end
    assert.equal(to - from + 1, n)
    assert.equal(tostring(n), db:sql "select count(*) from rpa1_records r join rpa1_files f on f.id = r.file_id where f.state = 'done'")
    assert.equal("0", db:sql "select count(*) from rpa1_records r join rpa1_files f on f.id = r.file_id where f.state <> 'done'")
    assert.equal("0", db:sql "select count(*) from (select fields->>0 from rpa1_records group by 1 having count(*) > 1) d")
  end

  local function files(where) return h.sh(("cd %s 2>/dev/null && find . -type f | sort"):format(h.quote(dir .. "/" .. where))) end

  setup(function() db = postgres.start() end)

  before_each(function()
    dir = h.tempdir()
    h.sh("mkdir " .. h.quote(dir .. "/in"))
    db:sql "drop table if exists rpa1_files, rpa1_records, rpa1_rejects"
  end)

  it("moves files through the table", function()
    put("a.csv", rows(1, 60))
    put("b.csv", "id,order_date,quantity,price\n61,31.01.2024,2,\"1,000.50\"\n")
    local p = run()
    assert_once(1, 61)
    assert.equal("./a.csv\n./b.csv\n", files "out")
    assert.equal("./processed/a.csv\n./processed/b.csv\n", files "in")
    assert.equal("id,order_date,quantity,price,total\n61,2024-01-31,2,1000.50,2001.00\n", h.read(dir .. "/out/b.csv"))
    assert.matches('1,"name 1,",1,1.50,1.50', h.read(dir .. "/out/a.csv"), 1, true)
    local lines = p:events "message"
    assert.equal(60, lines[1].details.records)
    assert.equal(p.out:find("pw-Zk7", 1, true), nil)
    assert.equal(p.err:find("pw-Zk7", 1, true), nil)
  end)

  it("keeps what it cannot read, as it was", function()
    put("bad.csv", 'id,name\n1,a\n2\n3,"open\n4,b\xff\n5,c\n')
    run()
    local seen, n = output()
    assert.equal(2, n)
    assert.is_truthy(seen["1"] and seen["5"])
    local rejected = h.read(dir .. "/out/rejected/bad.csv")
    assert.matches("it has 1 fields, the header has 2", rejected, 1, true)
    assert.matches('"3,""open"', rejected, 1, true)
    assert.matches("4,b\xff", rejected, 1, true)
  end)

  it("leaves alone what is no complete CSV file", function()
    h.write(dir .. "/in/.hidden.csv", rows(1, 2))
    h.write(dir .. "/in/x.csv.tmp", rows(1, 2))
    h.write(dir .. "/in/empty.csv", "")
    h.sh(("cd %s/in && mkdir folder.csv && mkfifo pipe.csv && ln -s a.csv b.csv && ln -s b.csv a.csv && ln -s /etc/passwd link.csv"):format(
      h.quote(dir)))
    local told = run():events "message"[1]
    assert.matches("links, folders and pipes are left alone", told.message, 1, true)
    assert.equal(5, told.details.files)
    assert.equal("./.hidden.csv\n./empty.csv\n./x.csv.tmp\n", files "in")
    assert.equal("0", db:sql "select count(*) from pg_tables where tablename = 'rpa1_files'")
  end)

  --- What was set aside unread, by its name: { reason, moved }.
  local function set_aside(name)
    local text = h.read(dir .. "/out/rejected/" .. name)
    return { reason = text and text:match "\n1,0,([^\n]*),\n$", moved = h.exists(dir .. "/in/rejected/" .. name) }
  end

  it("sets files aside that it cannot read or that are too large, with the reason, and does the others", function()
    put("good.csv", rows(1, 10))
    put("unreadable.csv", rows(11, 12))
    h.sh(("cd %s/in && chmod 000 unreadable.csv && truncate -s 2G sparse.csv && touch -d '1 minute ago' sparse.csv"):format(h.quote(dir)))
    put("zz.csv", rows(21, 30))
    h.sh(("mkdir -p %s/out && chmod 755 %s"):format(h.quote(dir), h.quote(dir)))
    local user = h.root and 65534 or nil -- root may read everything
    if user then h.sh(("chown -R 65534 %s/in %s/out"):format(h.quote(dir), h.quote(dir))) end
    local began = h.native.now()
    local p = h.spawn { args = { "script", "flows/jobs/rpa1.lua" }, env = environment(), uid = user, gid = user }
    assert.equal(0, (p:wait(60)), p.err)
    assert.is_true(h.native.now() - began < 20 * h.slow)
    assert.matches("it cannot be read: .*unreadable.csv.*[Pp]ermission denied", set_aside("unreadable.csv").reason)
    assert.matches("it has 2147483648 bytes, more than CONTAINER_RPA1_MAX_FILE_MB = 1024 allows", set_aside("sparse.csv").reason, 1, true)
    assert.is_true(set_aside("unreadable.csv").moved and set_aside("sparse.csv").moved)
    assert.equal("2", db:sql "select count(*) from rpa1_rejects where reason like 'it %'")
    local told = {}
    for _, e in ipairs(p:events "message") do if e.message:find "set aside" then told[#told + 1] = e.details.file end end
    table.sort(told)
    assert.same({ "sparse.csv", "unreadable.csv" }, told)
    assert.is_nil(p.err:find("not UTF-8", 1, true))
    assert.equal("./processed/good.csv\n./processed/zz.csv\n./rejected/sparse.csv\n./rejected/unreadable.csv\n", files "in")
    -- what can be read later is another file; a name that no table can hold is told
    h.sh(("cd %s/in && cp processed/good.csv \"$(printf 'M\\344rz.csv')\""):format(h.quote(dir)))
    h.sh(("cd %s/in && chmod 644 rejected/unreadable.csv && mv rejected/unreadable.csv ."):format(h.quote(dir)))
    local again = run()
    assert.matches("files whose names are not UTF-8 are left alone", again.err, 1, true)
    local seen, n = output()
    assert.equal(22, n)
    assert.equal(1, seen["11"])
    assert.equal("M\\344rz.csv\n", h.sh(("cd %s/in && ls -b *.csv"):format(h.quote(dir))))
  end)

  it("tells that a file is empty when it stays so, and what is no CSV or no UTF-8, record by record", function()
    h.write(dir .. "/in/empty.csv", "")
    h.sh(("touch -d '10 minutes ago' %s/in/empty.csv"):format(h.quote(dir)))
    put("blank.csv", "\n\n\r\n")
    put("text.csv", "this is\na letter, not a table\n")
    put("latin.csv", "id,name\n1,M\xfcller\n2,ok\n")
    local p = run()
    assert.matches("the file is empty", h.read(dir .. "/out/rejected/empty.csv"), 1, true)
    assert.matches("the file is empty", h.read(dir .. "/out/rejected/blank.csv"), 1, true)
    assert.matches("it has 2 fields, the header has 1", h.read(dir .. "/out/rejected/text.csv"), 1, true)
    assert.matches("1,M\xfcller", h.read(dir .. "/out/rejected/latin.csv"), 1, true)
    assert.equal("id,name\n2,ok\n", h.read(dir .. "/out/latin.csv"))
    local rejected = {}
    for _, e in ipairs(p:events "message") do if e.details and e.details.rejected then rejected[e.details.file] = e.details.rejected end end
    assert.same({ ["empty.csv"] = 1, ["blank.csv"] = 1, ["text.csv"] = 1, ["latin.csv"] = 1 }, rejected)
    assert.equal("./processed/blank.csv\n./processed/empty.csv\n./processed/latin.csv\n./processed/text.csv\n", files "in")
  end)

  it("begins anew with a file that changes while it is read", function()
    put("a.csv", rows(1, 1500))
    local p = spawn { CONTAINER_RPA1_BATCH_SIZE = "1" }
    h.wait_for(function() return db:sql "select to_regclass('rpa1_rejects') is not null" == "t" end)
    h.wait_for(function() return tonumber((db:sql "select coalesce(max(rows_done), 0) from rpa1_files")) > 5 end)
    h.sh(("echo '1501,late,1,2.50' >> %s/in/a.csv"):format(h.quote(dir)))
    assert.equal(0, (p:wait(60)), p.err)
    assert.matches("the file was changed while it was read", p.out .. p.err, 1, true)
    assert.equal("", files "out")
    run()
    assert_once(1, 1501)
  end)

  it("takes file names of any shape, once, and leaves those that are no text", function()
    local n = 0
    local names = { "new\nline.csv", "a'b\"$(c).csv", "%41.csv", ("n"):rep(251) .. ".csv", "-rf.csv" }
    for _, name in ipairs(names) do
      h.sh("mkdir -p " .. h.quote(dir .. "/x"))
      n = n + 1
      h.write(dir .. "/x/f", rows(n, n))
      h.sh(("touch -d '1 minute ago' %s/x/f && mv -- %s/x/f %s"):format(h.quote(dir), h.quote(dir), h.quote(dir .. "/in/" .. name)))
    end
    h.write(dir .. "/in/\xff\xfe.csv", rows(50, 50))
    h.sh(("touch -d '1 minute ago' %s/in/*.csv"):format(h.quote(dir)))
    run()
    os.remove(dir .. "/in/\xff\xfe.csv")
    assert.equal("", (h.sh(("find %s/in -maxdepth 1 -type f"):format(h.quote(dir)))))
    assert.equal(tostring(n), db:sql "select count(*) from rpa1_files where state = 'done'")
    local seen, total = output()
    assert.equal(n, total)
    for i = 1, n do assert.equal(1, seen[tostring(i)]) end
    run()
    assert.equal(tostring(n), db:sql "select count(*) from rpa1_files")
  end)

  it("goes on after its tables were locked or dropped, and stops while they are locked", function()
    put("a.csv", rows(1, 10))
    run()
    local locker = h.start { argv = { "/usr/bin/env", "psql", "-X", "-q", db:keywords(), "-c",
      "begin; lock table rpa1_files in access exclusive mode; select pg_sleep(120)" } }
    h.wait_for(function() return db:sql [[select count(*) from pg_locks where mode = 'AccessExclusiveLock' and granted
      and relation = 'rpa1_files'::regclass]] == "1" end)
    put("b.csv", rows(11, 20))
    local p = spawn { CONTAINER_RPA1_MAX_RETRIES = "100" }
    assert.matches("lock", p:wait_line("trying again", 20))
    p:kill "TERM"
    assert.equal(0, (p:wait(10)), p.err)
    db:sql "select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep%' and pid <> pg_backend_pid()"
    locker:wait(10)
    run()
    assert_once(1, 20)
    db:sql "drop table rpa1_rejects, rpa1_records, rpa1_files"
    put("c.csv", rows(21, 30))
    run()
    assert.equal(30, select(2, output()))
  end)

  -- The lock of a killed instance goes when the server sees that its connection is gone.
  local function wait_unlocked()
    h.wait_for(function() return db:sql "select count(*) from pg_locks where locktype = 'advisory'" == "0" end)
  end

  it("gives every record out once, killed a hundred times at any moment, with three of it at a time", function()
    local last = 0
    local count = killing.run {
      times = 100, at_once = 3, span = 0.3,
      feed = function()
        local _, left = files("in"):gsub("%./f%d+%.csv", "")
        for _ = left + 1, 6 do
          put(("f%d.csv"):format(last + 200), rows(last + 1, last + 200, ("x"):rep(50)))
          last = last + 200
        end
      end,
      start = function() return spawn { CONTAINER_RPA1_BATCH_SIZE = "2" } end,
    }
    assert.equal(100, count.killed)
    -- they were killed at their work, not only before it
    assert.is_true(tonumber((db:sql "select count(*) from rpa1_records")) > 100)
    wait_unlocked()
    run()
    assert_once(1, last)
    assert.is_nil(files("in"):find "%./f%d+%.csv")
    run()
    assert_once(1, last)
  end)

  it("stops between two batches on TERM, and goes on from there", function()
    put("a.csv", rows(1, 2000))
    local p = spawn { CONTAINER_RPA1_BATCH_SIZE = "1" }
    h.wait_for(function() return db:sql "select to_regclass('rpa1_rejects') is not null" == "t" end)
    h.wait_for(function() return tonumber((db:sql "select coalesce(max(rows_done), 0) from rpa1_files")) > 20 end)
    p:kill "TERM"
    assert.equal(0, (p:wait(10)))
    local done = tonumber((db:sql "select max(rows_done) from rpa1_files"))
    assert.is_true(done > 20 and done < 2000, tostring(done))
    assert.equal(tostring(done), db:sql "select count(*) from rpa1_records")
    assert.equal("", files "out")
    run()
    assert_once(1, 2000)
  end)

  it("does each file once with two instances at a time", function()
    for f = 0, 9 do put(("f%d.csv"):format(f), rows(f * 50 + 1, f * 50 + 50)) end
    local both = { spawn { CONTAINER_RPA1_BATCH_SIZE = "2" }, spawn { CONTAINER_RPA1_BATCH_SIZE = "2" } }
    for _, p in ipairs(both) do assert.equal(0, (p:wait(60)), p.err) end
    run()
    assert_once(1, 500)
  end)

  it("goes on after the database was away", function()
    local shared = db
    db = postgres.start { conf = { synchronous_commit = "on" } } -- one of its own: what a test restarts ends with the test
    finally(function() db = shared end)
    put("a.csv", rows(1, 400))
    local p = spawn { CONTAINER_RPA1_BATCH_SIZE = "1", CONTAINER_RPA1_MAX_RETRIES = "10" }
    h.wait_for(function() return db:sql "select to_regclass('rpa1_rejects') is not null" == "t" end)
    h.wait_for(function() return tonumber((db:sql "select coalesce(max(rows_done), 0) from rpa1_files")) > 20 end)
    db:stop "immediate"
    p:wait_line("trying again", 10, "err")
    db:restart()
    assert.equal(0, (p:wait(60)), p.err)
    assert_once(1, 400)
  end)

  it("gives up when the database stays away, with 75", function()
    put("a.csv", rows(1, 10))
    local p = run({ CONTAINER_RPA_DB_CONNECTION_STRING = "postgresql://u:pw-secret@127.0.0.1:1/db", CONTAINER_RPA1_MAX_RETRIES = "1" }, 75)
    assert.matches("refused", p.err)
    assert.is_nil(p.err:find("pw-secret", 1, true))
    assert.equal("./a.csv\n", files "in")
  end)

  it("does the same content under the same name once, and another content under it too", function()
    put("a.csv", rows(1, 10))
    run()
    put("a.csv", rows(1, 10))
    run()
    assert_once(1, 10)
    put("a.csv", rows(11, 20))
    run()
    assert_once(1, 20)
    assert.equal("./a-2.csv\n./a.csv\n", files "out")
  end)

  it("does not write over an output file of somebody else", function()
    h.sh("mkdir " .. h.quote(dir .. "/out"))
    h.write(dir .. "/out/a.csv", "9999,not ours\n")
    put("a.csv", rows(1, 5))
    run()
    assert.equal("9999,not ours\n", h.read(dir .. "/out/a.csv"))
    assert.equal("./a-1.csv\n./a.csv\n", files "out")
  end)

  it("waits for a file that was just written, and leaves one that grows", function()
    h.write(dir .. "/in/young.csv", rows(1, 5))
    run()
    assert_once(1, 5)
    local writer = h.start { argv = { "/bin/sh", "-c", "while :; do echo '7,x,1,1' >> \"$0\"; sleep 0.2; done", dir .. "/in/grows.csv" } }
    h.wait_for(function() return h.exists(dir .. "/in/grows.csv") end)
    run()
    writer:kill "KILL"
    writer:wait(5)
    assert_once(1, 5)
    assert.is_true(h.exists(dir .. "/in/grows.csv"))
  end)

  it("starts anew with a file whose content changed after a kill", function()
    put("a.csv", rows(1, 1500))
    local p = spawn { CONTAINER_RPA1_BATCH_SIZE = "1" }
    h.wait_for(function() return db:sql "select to_regclass('rpa1_rejects') is not null" == "t" end)
    h.wait_for(function() return tonumber((db:sql "select coalesce(max(rows_done), 0) from rpa1_files")) > 5 end)
    p:kill "KILL"
    p:wait(10)
    wait_unlocked()
    put("a.csv", rows(1, 30))
    run()
    assert_once(1, 30)
  end)

  it("ends the time of one file, and the next run goes on", function()
    put("a.csv", rows(1, 3000))
    local p = run { CONTAINER_RPA1_BATCH_SIZE = "1", CONTAINER_RPA1_TIMEOUT = "1" }
    local done = tonumber((db:sql "select rows_done from rpa1_files"))
    if done < 3000 then assert.matches("takes longer than its time", p.err) end
    run()
    assert_once(1, 3000)
  end)

  it("does files of an input directory that it may not write, once", function()
    put("a.csv", rows(1, 5))
    h.sh(("mkdir %s/out && chmod 0555 %s/in"):format(h.quote(dir), h.quote(dir)))
    local user = h.root and 65534 or nil -- root may write everywhere
    if user then h.sh(("chmod 0755 %s && chown 65534 %s/out"):format(h.quote(dir), h.quote(dir))) end
    for _ = 1, 2 do
      local p = h.spawn { args = { "script", "flows/jobs/rpa1.lua" }, env = environment(), uid = user, gid = user }
      assert.equal(0, (p:wait(60)), p.err)
      p:wait_line("cannot be moved", 5, "err")
    end
    h.sh("chmod u+w " .. h.quote(dir .. "/in"))
    assert_once(1, 5)
    assert.equal("./a.csv\n", files "in")
  end)

  it("takes records of any shape up to 128 KB", function()
    local field = ("\1"):rep(120 * 1024)
    put("long.csv", "id,text\n1," .. field .. "\n2,\"" .. ("x\n"):rep(60 * 1024) .. "\"\n3,ok\n")
    put("wide.csv", "id" .. (","):rep(100000) .. "\n4" .. (","):rep(100000) .. "\n")
    run { CONTAINER_RPA1_BATCH_SIZE = "10000" }
    assert.equal("4", db:sql "select count(*) from rpa1_records")
    assert.matches("1," .. field .. "\n", h.read(dir .. "/out/long.csv"), 1, true)
  end)

  it("survives binary garbage, losing no byte", function()
    put("g.csv", h.sh "head -c 300000 /dev/urandom")
    run()
    local raw = tonumber((db:sql "select coalesce(sum(length(raw)), 0) from rpa1_rejects"))
    assert.is_true(raw > 250000, tostring(raw))
    assert.equal("done", db:sql "select state from rpa1_files")
  end)
end)
