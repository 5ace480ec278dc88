// What the board shows of a state: {status, metrics}. A part is drawn anew only when what it shows has changed.

const $ = (id) => document.getElementById(id);

const TONES = {
  ok: "healthy ok ready up running done interval started",
  warn: "degraded warn waiting starting spawning stopping backoff restarting initializing pending",
  bad: "unhealthy fail failed",
};
const tone = (word) => Object.keys(TONES).find((t) => TONES[t].split(" ").includes(String(word).toLowerCase())) || "idle";
const badge = (word, as) => el("span", { class: "badge", "data-tone": as || tone(word) }, mark(as || tone(word)), word);

const shown = new Map();
const changed = (id, ...what) => {
  const text = JSON.stringify(what);
  if (shown.get(id) === text) return false;
  shown.set(id, text);
  return true;
};

const ms = (text) => (text ? Date.parse(text) : null);
// Times that go on between two states: [element, ms, before, after]; the clock ticks them.
const clocks = new Map();
const ticking = (e, at, before, ahead) => {
  clocks.set(e, [at, before || "", ahead || false]);
  return e;
};
const tick = (now) => {
  for (const [e, [at, before, ahead]] of clocks) {
    const text = before + span((ahead ? at - now : now - at) / 1000);
    if (!e.isConnected) clocks.delete(e);
    else if (e.textContent !== text) e.textContent = text;
  }
};

// One word and a tone for the whole.
const verdict = (s) => {
  if (s.state === "RUNNING") return [{ healthy: "Healthy", degraded: "Degraded", unhealthy: "Unhealthy" }[s.health] || "Running", tone(s.health)];
  const words = { INITIALIZING: "Starting", STARTING: "Starting", STOPPING: "Stopping", STOPPED: "Stopped", FAILED: "Failed", RESTARTING: "Restarting" };
  return [words[s.state] || s.state, tone(s.state)];
};

const icon = (as) => {
  const colour = { ok: "#2fa56d", warn: "#d99a1c", bad: "#d8443a", idle: "#9aa6b4" }[as];
  const [[tag, attributes], path] = SHAPES[as];
  const list = Object.entries(attributes).map(([k, v]) => `${k}="${v}"`).join(" ");
  $("icon").href = "data:image/svg+xml," + encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 20"><${tag} ${list} fill="${colour}"/><path d="${path}" fill="none" stroke="#fff" stroke-width="2"/></svg>`);
};

const drawVerdict = (s) => {
  const [word, as] = verdict(s);
  if (changed("word", word, s.flow)) {
    $("verdict").dataset.tone = as;
    $("verdict-mark").replaceChildren(mark(as));
    $("verdict-word").textContent = word;
    document.title = word + " · " + s.flow;
    icon(as);
  }
  const said = `${s.flow} is ${word.toLowerCase()}: ${s.reason || ""}`;
  if (changed("said", said)) $("said").textContent = said;
  if (changed("reason", s.reason, s.since)) {
    const since = ticking(el("span"), ms(s.since));
    $("verdict-reason").replaceChildren((s.reason || s.state) + ", for ", since);
  }
  $("verdict-next").hidden = !s.next;
  if (s.next && changed("next", s.next.what, s.next.due)) ticking($("verdict-next"), ms(s.next.due), s.next.what + " in ", true);
  if (changed("facts", s.ready, s.state, s.maintenance, s.maintenance_until, s.restarts, s.restarts_in_window, s.started, s.mode)) {
    const facts = [
      ["Ready", badge(s.ready ? "ready" : "not ready", s.ready ? "ok" : s.state === "RUNNING" ? "bad" : "idle")],
      ["State", s.state],
      ["Restarts", s.restarts + (s.restarts_in_window ? ` (${s.restarts_in_window} in the window)` : "")],
      ["Up since", ticking(el("span"), ms(s.started))],
    ];
    if (s.maintenance) facts.push(["Maintenance", badge(s.maintenance_until ? "until " + clock(ms(s.maintenance_until)) : "on", "warn")]);
    $("facts").replaceChildren(...facts.map(([k, v]) => el("div", {}, el("dt", {}, k), el("dd", {}, v))));
  }
  if (changed("who", s.flow, s.container_id, s.environment, s.mode, s.version, s.pid)) {
    $("flow").textContent = s.flow;
    $("who").textContent = [s.container_id, s.environment, "mode " + s.mode].filter(Boolean).join(" · ");
    $("foot").textContent = `tend ${s.version} · pid ${s.pid} · read only: nothing can be changed from here`;
  }
};

const drawWarnings = (list) => {
  $("warnings").hidden = !list.length;
  if (changed("warnings", list)) $("warnings-list").replaceChildren(...list.map((w) => el("li", {}, w)));
};

// Checks and dependencies. What was seen of each is kept, so that the strip goes on where the engine tells no history.
const seen = new Map();
const runsOf = (where, c) => {
  const key = where + "\0" + c.name + "\0" + (c.process || "") + "\0" + (c.instance || 0);
  if (!seen.has(key)) seen.set(key, []);
  return seen.get(key);
};
const remember = (where, c) => {
  const list = runsOf(where, c);
  const at = ms(c.at);
  const result = c.last || { ok: "ok", warn: "warn", bad: "fail", idle: "unknown" }[tone(c.status)];
  if (at && (!list.length || at > list[list.length - 1][0] + 1)) list.push([at, result, c.duration_ms]);
  while (list.length > 64) list.shift();
  return list;
};

const worst = { bad: 0, warn: 1, idle: 2, ok: 3 };
const item = (where, c) => {
  const list = remember(where, c);
  const as = tone(c.status);
  const about = [c.kind, c.role, where === "dependencies" && !c.required ? "optional" : null, c.process ? "of " + c.process : null].filter(Boolean).join(" · ");
  const detail = as === "ok" ? c.description || "" : [c.reason, c.detail].filter(Boolean).join(": ") || c.description || "";
  const note = c.duration_ms === null || c.duration_ms === undefined ? "not run yet" : digits(c.duration_ms) + " ms" + (c.failures ? ` · ${c.failures} failed in a row` : "");
  return el("li", { class: "item", "data-tone": as },
    badge(c.status),
    el("div", { class: "about" }, el("div", { class: "title" }, c.name), el("div", { class: "sub" }, about)),
    el("div", { class: "detail" }, detail),
    el("div", { class: "past" }, list.length ? strip(c.name, list) : null, el("div", { class: "strip-note" }, note)));
};
const drawItems = (where, list) => {
  $(where).hidden = !list.length;
  if (!changed(where, list)) return;
  const sorted = [...list].sort((a, b) => worst[tone(a.status)] - worst[tone(b.status)]);
  $(where + "-list").replaceChildren(...sorted.map((c) => item(where, c)));
  const bad = list.filter((c) => tone(c.status) === "bad").length;
  $(where + "-count").textContent = list.length + (bad ? `, ${bad} bad` : "");
};

// A remedy that has never run has nothing to say; what ran last comes first.
const STANDS = { idle: ["stands by", "idle"], running: ["running", "warn"], resting: ["resting", "idle"], gave_up: ["gave up", "bad"] };
const RESULTS_OF = { healed: "ok", done: "ok", escalated: "warn", not_healed: "bad", failed: "bad" };
const remedyItem = (r) => {
  const [word, as] = STANDS[r.state] || [r.state, "idle"];
  const now = r.state === "running" && r.step ? "step " + r.step : r.last_result ? "last time: " + r.last_result.replace("_", " ") : "";
  return el("li", { class: "item", "data-tone": as }, badge(word, as),
    el("div", { class: "about" }, el("div", { class: "title" }, r.name), el("div", { class: "sub" }, "for " + (r.checks || []).join(", ") + (r.dry_run ? " · dry run" : ""))),
    el("div", { class: "detail" }, now),
    el("div", { class: "past strip-note" }, `${r.runs} runs` + (r.max ? `, ${r.runs_in_window} of ${r.max} in the window` : "")));
};
const remediationItem = (r) => {
  const as = RESULTS_OF[r.result] || "idle";
  const steps = (r.steps || []).map((s) => `${s.name}: ${s.outcome}${s.detail ? " (" + s.detail + ")" : ""}`).join(" → ");
  return el("li", { class: "item", "data-tone": as }, badge((r.result || "running").replace("_", " "), as),
    el("div", { class: "about" }, el("div", { class: "title" }, r.remedy), el("div", { class: "sub" }, clock(ms(r.at), true) + (r.trigger === "operator" ? ", by an operator" : r.check ? ", for " + r.check : ""))),
    el("div", { class: "detail" }, steps || r.cause || ""),
    el("div", { class: "past strip-note" }, r.duration_ms === null ? "" : r.duration_ms < 1000 ? digits(r.duration_ms) + " ms" : span(r.duration_ms / 1000)));
};
const drawRemedies = (remedies, past) => {
  const used = remedies.filter((r) => r.runs || r.state !== "idle");
  $("remedies").hidden = !remedies.length && !past.length;
  if (!changed("remedies", remedies, past)) return;
  $("remedies-count").textContent = remedies.length + (used.length ? "" : ", none was needed");
  $("remedies-list").replaceChildren(...used.map(remedyItem), ...past.slice(0, 6).map(remediationItem));
};

const drawProcesses = (all) => {
  const list = all.filter((p) => !p.spare); // instances that are not asked for now
  if (!changed("processes", list.map((p) => [p.name, p.instance, p.state, p.pid, p.since, p.runs, p.restarts, p.last_exit, p.next && p.next.due]))) return;
  const many = new Set(list.filter((p) => p.instance > 0).map((p) => p.name));
  $("processes-count").textContent = list.length > 1 ? list.length : "";
  $("processes-list").replaceChildren(...list.slice(0, 400).map((p) => {
    const next = p.next ? ticking(el("span", { class: "quiet" }), ms(p.next.due), p.next.what + " in ", true) : null;
    const end = p.last_exit ? `${p.last_exit.text || "exit code " + p.last_exit.code}, ${clock(ms(p.last_exit.at), true)}` : "–";
    return el("tr", {},
      el("td", { class: "name" }, p.name + (many.has(p.name) ? " " + p.instance : "") + (p.main ? "" : p.essential ? " (essential)" : ""),
        el("span", { class: "sub" }, (p.command || []).join(" ").slice(0, 160) + (p.pid ? ` · pid ${p.pid}` : ""))),
      el("td", {}, badge(p.state), next),
      el("td", { "data-label": "for" }, p.since ? ticking(el("span"), ms(p.since)) : "–"),
      el("td", { "data-label": "runs" }, String(p.runs)),
      el("td", { "data-label": "restarts" }, String(p.restarts)),
      el("td", { class: "end", "data-label": "last end:" }, end));
  }));
};

const plots = {
  memory: new Plot("Memory", "%", 100), cpu: new Plot("CPU", "%", 100), disk: new Plot("Fullest disk", "%", 100), database: new Plot("Database", "ms", 0),
};
$("plots").append(...Object.values(plots).map((p) => p.card));
const drawPlots = (now) => Object.values(plots).forEach((p) => p.draw(now));
const addMetrics = (at, m) => {
  plots.memory.add(at, m.memory_usage_percent);
  plots.cpu.add(at, m.cpu_usage_percent);
  plots.disk.add(at, m.disk_usage_percent);
  plots.database.add(at, m.database_response_time_ms);
};
const addHistory = (h) => {
  for (const c of h.checks || []) {
    const list = runsOf(c.dependency ? "dependencies" : "checks", c);
    list.splice(0, list.length, ...c.runs.map(([t, result, d]) => [t * 1000, result, d]));
  }
  for (const [t, memory, cpu, disk, database] of h.samples || []) {
    const share = (v) => (v === null ? null : v * 100);
    addMetrics(t * 1000, { memory_usage_percent: share(memory), cpu_usage_percent: share(cpu), disk_usage_percent: share(disk), database_response_time_ms: database });
  }
};
