// The live part: history once, then the event stream, by fetch, for an EventSource can send no token.

const EVENTS_MAX = 1000; // kept; the engine keeps as many
const ROWS_MAX = 250; // shown
const LEVELS = { DEBUG: 0, INFO: 1, WARNING: 2, ERROR: 3, CRITICAL: 4 };
const SILENT_MS = 12e3; // a state comes every two seconds

let token = sessionStorage.getItem("token") || "";
let offset = 0; // the engine's clock minus ours
let last = null; // the number of the last event
let state = null;
let started = 0;
const events = [];
const now = () => Date.now() + offset;

const fragment = new URLSearchParams(location.hash.slice(1)).get("token");
if (fragment) {
  token = fragment;
  sessionStorage.setItem("token", token);
  history.replaceState(null, "", location.pathname + location.search);
}

const link = (as, text) => {
  $("link").dataset.tone = as;
  if ($("link-text").textContent !== text) $("link-text").textContent = text;
  document.body.classList.toggle("stale", as === "warn" && state !== null);
};

// --- events ---

const about = (e) => {
  const d = e.details || {};
  return [d.remedy, d.check || d.process || d.name, d.step, d.result || d.outcome].filter(Boolean).join(" · ");
};
const pairs = (d) => Object.entries(d || {}).map(([k, v]) => k + "=" + (typeof v === "object" ? JSON.stringify(v) : v)).join("  ").slice(0, 600);
const row = (e) => {
  const as = e.weight >= 3 ? "bad" : e.weight === 2 ? "warn" : ["startup_completed", "recovery_completed", "health_check_passed", "dependency_ready"].includes(e.event) ? "ok" : "idle";
  const name = el("span", { class: "what" }, e.event);
  const text = el("div", { class: "text" });
  if (e.message) text.append(el("div", {}, e.message));
  const rest = pairs(e.details);
  if (rest) text.append(el("div", { class: "pairs" }, rest));
  const level = svg("svg", { viewBox: "0 0 20 20", role: "img", "aria-label": e.level.toLowerCase() }, svg("title", {}, e.level), ...shape(as));
  return el("li", { class: "event" }, el("time", { datetime: e.timestamp, title: e.timestamp }, clock(e.ms, true)), level, name, text);
};
const wanted = (e) => {
  const text = $("search").value.toLowerCase();
  const level = $("level").value;
  if (level === "changes" ? e.event === "health_check" && e.weight < 2 : e.weight < Number(level)) return false;
  return (!text || e.text.includes(text));
};
const drawEvents = () => {
  const list = events.filter(wanted).slice(-ROWS_MAX).reverse();
  $("events").replaceChildren(...list.map(row));
  $("events-none").hidden = list.length > 0;
};
const drawLine = () => {
  const width = Math.max(300, $("line").clientWidth);
  $("line-span").textContent = "in the last " + span(Math.max(600, Math.min(3600, (now() - started) / 1000)));
  $("line").replaceChildren(timeLine(events, now(), started, width));
};

let fresh = []; // since the last drawing
let due = 0;
const drawFresh = () => {
  due = 0;
  const rows = fresh.filter(wanted).slice(-ROWS_MAX).map(row).reverse();
  if (fresh.length < 20) rows.forEach((r) => r.classList.add("new"));
  fresh = [];
  const list = $("events");
  list.prepend(...rows);
  while (list.childElementCount > ROWS_MAX) list.lastElementChild.remove();
  $("events-none").hidden = list.childElementCount > 0;
  drawLine();
};
const addEvent = (id, e) => {
  const seq = Number(id);
  if (last !== null && seq <= last) { // another engine counts anew
    events.length = 0;
    $("events").replaceChildren();
  }
  last = seq;
  e.ms = Date.parse(e.timestamp);
  e.weight = LEVELS[e.level] || 0;
  e.about = about(e);
  e.text = (e.event + " " + (e.message || "") + " " + JSON.stringify(e.details || {})).toLowerCase();
  events.push(e);
  if (events.length > EVENTS_MAX) events.shift();
  fresh.push(e);
  if (!due) due = setTimeout(drawFresh, 30);
};

// --- state ---

const draw = (s) => {
  const { status, metrics } = s;
  state = s;
  started = ms(status.started);
  offset = started + status.uptime_seconds * 1000 - Date.now();
  $("board").hidden = false;
  addMetrics(now(), metrics);
  drawVerdict(status);
  drawWarnings(status.warnings || []);
  drawItems("checks", status.checks || []);
  drawItems("dependencies", status.dependencies || []);
  drawRemedies(status.remedies || [], status.remediations || []);
  drawProcesses(status.processes || []);
  drawPlots(now());
  tick(now());
};

// --- the stream ---

const headers = (more) => ({ ...(token ? { Authorization: "Bearer " + token } : {}), ...more });

const locked = async (answer) => {
  let why = "";
  try { why = (await answer.json()).reason; } catch { /* no JSON: the code must do */ }
  $("locked").hidden = false;
  $("board").hidden = true;
  $("locked-reason").textContent = (why || "The server answers " + answer.status) + ".";
  $("token-form").hidden = answer.status !== 401;
  $("verdict-mark").replaceChildren(mark("idle"));
  $("verdict-word").textContent = "Locked";
  shown.delete("word");
  $("verdict-reason").textContent = "Whether it is alive and ready is at /livez and /readyz.";
  link("idle", "locked");
  if (answer.status === 401) $("token").focus();
};

const take = (text) => {
  let id = null, type = "message", data = [];
  for (const line of text.split("\n")) {
    const at = line.indexOf(":");
    const [field, value] = at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 1).replace(/^ /, "")];
    if (field === "id") id = value;
    else if (field === "event") type = value;
    else if (field === "data") data.push(value);
  }
  if (!data.length) return;
  const value = JSON.parse(data.join("\n"));
  if (type === "state") draw(value);
  else if (type === "message" && id !== null) addEvent(id, value);
};

const follow = async () => {
  const stop = new AbortController();
  let silence = setTimeout(() => stop.abort(), SILENT_MS);
  try {
    const answer = await fetch("events?state=1", { headers: headers(last === null ? {} : { "Last-Event-ID": String(last) }), signal: stop.signal, cache: "no-store" });
    if (answer.status === 401 || answer.status === 403) {
      await locked(answer);
      return false;
    }
    if (!answer.ok) throw new Error("status " + answer.status);
    $("locked").hidden = true;
    link("ok", "live");
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new Error("the end");
      clearTimeout(silence);
      silence = setTimeout(() => stop.abort(), SILENT_MS);
      link("ok", "live");
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      parts.forEach(take);
    }
  } finally {
    clearTimeout(silence);
  }
};

let running = false;
const run = async () => {
  if (running) return;
  running = true;
  try {
    const past = await fetch("history", { headers: headers(), cache: "no-store" });
    if (past.ok) addHistory(await past.json());
  } catch { /* the stream will tell */ }
  for (let wait = 1; ; wait = Math.min(8, wait * 2)) {
    try {
      if (await follow() === false) break;
    } catch {
      if ($("link").dataset.tone === "ok") wait = 1;
      link("warn", state ? "connection lost, trying again" : "no answer, trying again");
    }
    await new Promise((r) => setTimeout(r, wait * (750 + Math.random() * 500)));
  }
  running = false;
};

$("token-form").addEventListener("submit", (e) => {
  e.preventDefault();
  token = $("token").value.trim();
  $("token").value = "";
  sessionStorage.setItem("token", token);
  run();
});
$("level").addEventListener("change", drawEvents);
$("search").addEventListener("input", drawEvents);
addEventListener("resize", () => state && drawLine());
setInterval(() => state && tick(now()), 1000);
setInterval(() => state && drawLine(), 15e3);
run();
