-- The live page in a real browser. PAGE_SHOTS=DIR keeps pictures of it, to be looked at.
local browser = require "browser"
local h = require "harness"
local http = require "endpoint"

local EVIL = [[<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>&amp;]]

local shared
local function open(p, path, host)
  if not shared then return nil end
  shared:size(1280, 900)
  shared:media { ["prefers-color-scheme"] = "light" }
  shared:eval "try { sessionStorage.clear() } catch { }"
  shared:open(("http://%s:%d%s"):format(host or "localhost", p.port, path or "/"))
  return shared
end

local function shot(b, name)
  local dir = os.getenv "PAGE_SHOTS"
  if dir then b:shot(dir .. "/" .. name .. ".png") end
end

local function spawn(o)
  o = o or {}
  local dir = h.tempdir()
  h.write(dir .. "/there", "")
  h.write(dir .. "/page.lua", ([[
local evil = %q
return {
  name = "page", mode = "server",
  processes = {
    main = { command = { "sh", "-c", "while :; do sleep 0.1; [ ! -e %s/die ] || { rm %s/die; exit 3; }; done # " .. evil } },
    other = { command = { "sh", "-c", "sleep 1000 # " .. evil } },
  },
  dependencies = { { name = "place", kind = "directory", params = { path = %q } } },
  checks = {
    { name = "file_there", kind = "file", params = { path = %q }, role = "readiness", interval = 0.2, failures = 1, description = "a file that comes and goes" },
    { name = "script", check = function() return "fail", evil .. "\xff\xfe" end, interval = 0.5, failures = 1 },
  },
}
]]):format(EVIL, dir, dir, dir, dir .. "/there"))
  local p = http.spawn { args = { "run", "--flow-name", "page", "--flows", dir }, env = o.env }
  p.place = dir
  return p
end

local function text(id) return ("document.getElementById('%s').textContent"):format(id) end

describe("the page", function()
  setup(function() if not browser.missing() then shared = browser.start() end end)
  teardown(function() if shared then shared:close() end end)

  it("shows state, checks, dependencies, processes and events, and takes nothing from elsewhere", function()
    local p = spawn()
    local b = open(p)
    if not b then return pending(browser.missing()) end
    b:wait(text "link-text" .. " === 'live'")
    b:wait "document.querySelectorAll('#checks-list li').length === 2"
    assert.equal("page", b:eval("return " .. text "flow"))
    assert.equal(1, b:eval "return document.querySelectorAll('#dependencies-list li').length")
    assert.equal(2, b:eval "return document.querySelectorAll('#processes-list tr').length")
    b:wait "[...document.querySelectorAll('#events .what')].some(e => e.textContent === 'startup_completed')"
    b:wait "document.querySelectorAll('#plots article:not([hidden])').length >= 2" -- memory and CPU; disks and database where known
    b:wait "document.querySelectorAll('#checks-list .strip rect').length >= 3"
    b:wait "/^(Degraded|Unhealthy) · page$/.test(document.title)" -- the check `script` fails always
    shot(b, "page-light")
    -- everything came from this server, and nothing was refused
    assert.same({}, b:console())
    assert.same({}, b:eval("return performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith(location.origin) && !n.startsWith('data:'))"))
  end)

  it("changes within a second when a check fails, a process ends, and when it is good again", function()
    local p = spawn()
    local b = open(p)
    if not b then return pending(browser.missing()) end
    b:wait "document.querySelectorAll('#checks-list li').length === 2"
    b:wait "[...document.querySelectorAll('#facts .badge')].some(e => e.textContent === 'ready')"
    local row = "[...document.querySelectorAll('#checks-list li')].find(e => e.querySelector('.title').textContent === 'file_there')"
    -- the page itself measures: from the event's own time to the change
    b:eval(([[
      window.seen = {};
      new MutationObserver(() => {
        const e = %s, word = e && e.querySelector('.badge').textContent, ready = [...document.querySelectorAll('#facts .badge')].some(e => e.textContent === 'ready');
        const key = word + ' ' + ready;
        if (!seen[key]) seen[key] = Date.now();
      }).observe(document.body, { subtree: true, childList: true, characterData: true });]]):format(row))
    os.remove(p.place .. "/there")
    local failed = p:wait_event("health_check_failed", { where = function(e) return e.details.check == "file_there" end })
    b:wait("seen['unhealthy false']", 5)
    local function at(e) return b:eval(("return Date.parse('%s')"):format(e.timestamp)) end
    assert.is_true(b:eval "return seen['unhealthy false']" - at(failed) < 1000 * h.slow)
    assert.matches("not ready", b:eval("return " .. text "facts"))
    b:wait(text "verdict-word" .. " === 'Unhealthy'")
    shot(b, "page-unhealthy")
    b:eval "window.seen = {}"
    h.write(p.place .. "/there", "")
    local passed = p:wait_event("health_check_passed", { nth = 2, where = function(e) return e.details.check == "file_there" end })
    b:wait("seen['healthy true']", 5)
    assert.is_true(b:eval "return seen['healthy true']" - at(passed) < 1000 * h.slow)

    b:eval [[
      window.seen = 0;
      new MutationObserver(() => { if (!seen && document.getElementById('processes-list').textContent.includes('exit code 3')) seen = Date.now() })
        .observe(document.body, { subtree: true, childList: true });]]
    h.write(p.place .. "/die", "")
    local exited = p:wait_event "process_exited"
    b:wait("seen", 5)
    assert.is_true(b:eval "return seen" - at(exited) < 1000 * h.slow)
    b:wait "document.getElementById('line').querySelectorAll('title').length >= 4"
    b:wait("/in \\d+ s/.test(" .. text "verdict-next" .. ")") -- the restart that comes
    shot(b, "page-restarting")
  end)

  it("shows remedies at work: what was tried, and on the time line", function()
    local dir = h.tempdir()
    h.write(dir .. "/heal.lua", ([[
      local place = %q
      return { name = "heal", mode = "server", processes = { main = { command = { "sleep", "1000" } } },
        checks = { { name = "file_there", kind = "file", params = { path = place }, interval = 0.2, failures = 1 } },
        remedies = { { name = "bring_back", check = "file_there", failures = 1, steps = {
          { name = "look", run = function() return true end, settle = 0.1 },
          { name = "touch", run = function() return process.run { "touch", place }.code == 0 end, settle = 0.1 } } } } }]]):format(dir .. "/there"))
    local p = http.spawn { args = { "run", "--flow-name", "heal", "--flows", dir } }
    local b = open(p)
    if not b then return pending(browser.missing()) end
    b:wait("[...document.querySelectorAll('#remedies-list li')].some(e => e.textContent.includes('healed') && e.textContent.includes('look: ok → touch: ok'))")
    b:wait(text "verdict-word" .. " === 'Healthy'")
    b:wait "[...document.querySelectorAll('#line title')].some(e => e.textContent.includes('remediation_completed'))"
    assert.equal(0, (h.ask(p, "maintenance", "on")))
    b:wait("/Maintenance/.test(" .. text "facts" .. ")")
  end)

  it("shows names and output of any bytes as text", function()
    local p = spawn()
    local b = open(p)
    if not b then return pending(browser.missing()) end
    b:wait("document.body.textContent.includes('<img src=x onerror=')")
    b:wait("document.getElementById('processes-list').textContent.includes('<script>')")
    b:wait("[...document.querySelectorAll('#checks-list .detail')].some(e => e.textContent.includes('<script>document'))")
    assert.equal(0, b:eval "return document.querySelectorAll('main img, main script').length")
    assert.not_equal("owned", b:eval "return document.title")
    -- nothing in it could make HTML of text, and the browser would not let it
    assert.equal("refused", b:eval "try { document.body.insertAdjacentHTML('beforeend', '<i id=x></i>'); return 'taken' } catch { return 'refused' }")
    local page = http.get(p, "/").body
    for _, word in ipairs { "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function" } do assert.falsy(page:find(word, 1, true), word) end
  end)

  it("comes back by itself when tend was away", function()
    local p = spawn()
    local b = open(p)
    if not b then return pending(browser.missing()) end
    b:wait(text "link-text" .. " === 'live'")
    local port = p.port
    p:kill "TERM"
    p:wait()
    b:wait(text "link-text" .. ".startsWith('connection lost')")
    assert.is_true(b:eval "return document.body.classList.contains('stale')")
    shot(b, "page-lost")
    local again = http.spawn { address = ":" .. port, args = { "run", "--", "sleep", "999" } }
    assert.equal(port, again.port)
    b:wait(text "link-text" .. " === 'live'", 15)
    b:wait(text "flow" .. " === 'default'")
    b:wait "document.getElementById('processes-list').textContent.includes('sleep 999')"
  end)

  it("asks for the token, takes it from the fragment, and keeps it out of addresses", function()
    local token = "a-token-of-the-test"
    local p = spawn { env = { CONTAINER_HTTP_DETAIL = "off", CONTAINER_HTTP_TOKEN = token } }
    local b = open(p)
    if not b then return pending(browser.missing()) end
    b:wait "!document.getElementById('locked').hidden && !document.getElementById('token-form').hidden"
    assert.matches("CONTAINER_HTTP_DETAIL is off", b:eval("return " .. text "locked-reason"))
    shot(b, "page-locked")
    b:eval "document.getElementById('token').value = 'wrong-token'; document.getElementById('token-form').requestSubmit()"
    b:wait(text "locked-reason" .. ".includes('not the one')")
    b:eval(("document.getElementById('token').value = '%s'; document.getElementById('token-form').requestSubmit()"):format(token))
    b:wait(text "flow" .. " === 'page'")
    b:eval "sessionStorage.clear()"
    b:open "about:blank"
    b = open(p, "/#token=" .. token)
    b:wait(text "flow" .. " === 'page'")
    assert.equal("", b:eval "return location.hash")
    assert.falsy(table.concat(b:eval "return performance.getEntriesByType('resource').map(e => e.name)", " "):find(token, 1, true))
  end)

  it("is readable in the dark, on a phone, and without a mouse or eyes", function()
    local p = spawn()
    local b = open(p)
    if not b then return pending(browser.missing()) end
    b:wait "document.querySelectorAll('#checks-list li').length === 2"
    -- every text has a contrast of 4.5 at least to what is behind it, in both schemes
    local worst = [[
      const rgb = (c) => c.startsWith('color(srgb') ? c.match(/[\d.]+/g).map((v) => v * 255) : c.match(/[\d.]+/g).map(Number);
      const alpha = (c) => { const v = c.match(/[\d.]+/g); return v.length > 3 ? Number(v[3]) : 1; };
      const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
        return .2126 * r + .7152 * g + .0722 * b; };
      const behind = (e) => {
        for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (alpha(c) === 1) return rgb(c); }
        return [255, 255, 255];
      };
      let worst = [99, ''];
      for (const e of document.querySelectorAll('h1, h2, h3, p, dt, dd, th, td, li div, time, span, option, .badge, .event .what')) {
        if (!e.offsetParent || !e.textContent.trim() || e.children.length && ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
        const a = light(rgb(getComputedStyle(e).color)), z = light(behind(e));
        const c = (Math.max(a, z) + .05) / (Math.min(a, z) + .05);
        if (c < worst[0]) worst = [c, e.tagName + '.' + e.className + ': ' + e.textContent.slice(0, 40)];
      }
      return worst;]]
    for _, scheme in ipairs { "light", "dark" } do
      b:media { ["prefers-color-scheme"] = scheme }
      local found = b:eval(worst)
      assert.is_true(found[1] >= 4.5, ("%s: contrast %.2f of %s"):format(scheme, found[1], found[2]))
      for _, width in ipairs { 390, 320, 800 } do
        b:size(width, 844)
        b:eval "window.dispatchEvent(new Event('resize'))"
        assert.is_true(b:eval "return document.documentElement.scrollWidth <= innerWidth", "wider than " .. width)
        if width == 390 then shot(b, "page-phone-" .. scheme) end
      end
      b:size(1280, 900)
      b:eval "window.dispatchEvent(new Event('resize'))"
      shot(b, "page-" .. scheme)
    end
    -- landmarks, names, and a voice for changes
    assert.equal(1, b:eval "return document.querySelectorAll('main').length")
    assert.equal("en", b:eval "return document.documentElement.lang")
    assert.same({}, b:eval [[return [...document.querySelectorAll('section')]
      .filter(s => !s.getAttribute('aria-label') && !document.getElementById(s.getAttribute('aria-labelledby'))).map(s => s.id)]])
    assert.same({}, b:eval "return [...document.querySelectorAll('input, select')].filter(i => !i.labels.length).map(i => i.id)")
    assert.same({}, b:eval [[return [...document.querySelectorAll('svg')].filter(s => !s.closest('[hidden]')
      && s.getAttribute('aria-hidden') !== 'true' && !(s.getAttribute('role') === 'img' && s.getAttribute('aria-label'))).map(s => s.outerHTML.slice(0, 80))]])
    assert.matches("page is", b:eval "return document.querySelector('[aria-live=polite]').textContent")
    -- each badge has its word and a shape beside its colour
    assert.same({}, b:eval "return [...document.querySelectorAll('.badge')].filter(e => !e.textContent.trim() || !e.querySelector('svg')).map(e => e.outerHTML)")
    -- the keyboard reaches the skip link first, then the filters
    assert.equal("#events-title", b:eval "return document.querySelector('a, button, input, select, [tabindex]').getAttribute('href')")
    -- filters
    b:eval "const s = document.getElementById('search'); s.value = 'startup_completed'; s.dispatchEvent(new Event('input'))"
    assert.equal(1, b:eval "return document.querySelectorAll('#events li').length")
  end)
end)
