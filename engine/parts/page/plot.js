// Drawing: elements by the DOM only (nothing is ever parsed as HTML), marks, plots, strips, the time line.

const el = (tag, attributes, ...children) => {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes || {})) if (v !== null && v !== undefined) e.setAttribute(k, v);
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
};
const svg = (tag, attributes, ...children) => {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [k, v] of Object.entries(attributes || {})) e.setAttribute(k, v);
  e.append(...children);
  return e;
};

// Each tone has a shape of its own, so that colour is never the only sign.
const SHAPES = {
  ok: [["circle", { cx: 10, cy: 10, r: 9 }], "M6 10.4 9 13.2 14.2 7.2"],
  warn: [["path", { d: "M10 1.6 19 17.6H1Z" }], "M10 7.4V11.6M10 14.6V14.7"],
  bad: [["path", { d: "M6.3 1h7.4L19 6.3v7.4L13.7 19H6.3L1 13.7V6.3Z" }], "M6.8 6.8 13.2 13.2M13.2 6.8 6.8 13.2"],
  idle: [["rect", { x: 1.5, y: 1.5, width: 17, height: 17, rx: 5 }], "M6.5 10H13.5"],
};
const shape = (tone) => {
  const [[tag, attributes], path] = SHAPES[tone];
  return [svg(tag, { ...attributes, class: "tone-" + tone }), svg("path", { d: path, class: "glyph" })];
};
const mark = (tone) => svg("svg", { viewBox: "0 0 20 20", "aria-hidden": "true", focusable: "false" }, ...shape(tone));

const two = (n) => String(n).padStart(2, "0");
const clock = (ms, seconds) => {
  const d = new Date(ms);
  return two(d.getHours()) + ":" + two(d.getMinutes()) + (seconds ? ":" + two(d.getSeconds()) : "");
};
const span = (seconds) => {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return s + " s";
  if (s < 3600) return Math.floor(s / 60) + " min" + (s < 600 && s % 60 ? " " + (s % 60) + " s" : "");
  if (s < 86400) return Math.floor(s / 3600) + " h " + Math.floor((s % 3600) / 60) + " min";
  return Math.floor(s / 86400) + " d " + Math.floor((s % 86400) / 3600) + " h";
};
const digits = (v) => (v >= 100 ? v.toFixed(0) : v >= 10 ? v.toFixed(1) : v.toFixed(v >= 1 ? 1 : 2)).replace(/\.0+$/, "");

// A plot of [ms, value] pairs, which it keeps for an hour; draw() shows them up to `now`.
class Plot {
  constructor(title, unit, top) {
    Object.assign(this, { title, unit, top, points: [], at: null });
    this.value = el("p", { class: "value" });
    this.when = el("span", { class: "at" });
    this.svg = svg("svg", { class: "plot", viewBox: "0 0 300 70", preserveAspectRatio: "none", role: "img" });
    this.left = el("span");
    this.middle = el("span");
    this.right = el("span", {}, "now");
    this.card = el("article", { class: "card" }, el("h3", {}, title), el("div", { class: "values" }, this.value, this.when), this.svg,
      el("div", { class: "axis", "aria-hidden": "true" }, this.left, this.middle, this.right));
    this.svg.addEventListener("pointermove", (e) => this.look(e));
    this.svg.addEventListener("pointerleave", () => { this.at = null; this.draw(this.now); });
  }
  add(ms, value) {
    if (value === null || value === undefined || (this.points.length && ms <= this.points[this.points.length - 1][0])) return;
    this.points.push([ms, value]);
    while (this.points.length && this.points[0][0] < ms - 3600e3) this.points.shift();
  }
  look(e) {
    const box = this.svg.getBoundingClientRect();
    const ms = this.from + (e.clientX - box.left) / box.width * (this.now - this.from);
    let near = null;
    for (const p of this.points) if (!near || Math.abs(p[0] - ms) < Math.abs(near[0] - ms)) near = p;
    this.at = near;
    this.draw(this.now);
  }
  draw(now) {
    const points = this.points;
    const empty = points.length === 0;
    this.card.hidden = empty;
    if (empty) return;
    const values = points.map((p) => p[1]);
    const least = Math.min(...values), most = Math.max(...values), last = values[values.length - 1];
    const top = this.top || [1, 2, 5].flatMap((m) => [-1, 0, 1, 2, 3, 4].map((e) => m * 10 ** e)).sort((a, b) => a - b).find((n) => n >= most * 1.1) || most * 1.1;
    this.now = now;
    this.from = now - Math.max(120e3, Math.min(3600e3, now - points[0][0]));
    const x = (ms) => 300 * (ms - this.from) / (now - this.from);
    const y = (v) => 67 - 63 * Math.min(1, v / top);
    const runs = [];
    points.forEach((p, i) => {
      if (!i || p[0] - points[i - 1][0] > 95e3) runs.push([]);
      runs[runs.length - 1].push(p);
    });
    const parts = [svg("line", { class: "rule", x1: 0, x2: 300, y1: 67, y2: 67 }), svg("line", { class: "rule", x1: 0, x2: 300, y1: 35.5, y2: 35.5, "stroke-dasharray": "2 4" })];
    for (const run of runs) {
      const d = run.map((p, i) => (i ? "L" : "M") + x(p[0]).toFixed(1) + " " + y(p[1]).toFixed(1)).join("");
      const from = x(run[0][0]).toFixed(1), to = x(run[run.length - 1][0]).toFixed(1);
      parts.push(svg("path", { class: "area", d: d + "L" + to + " 67L" + from + " 67Z" }), svg("path", { class: "path", d: run.length > 1 ? d : d + "h1" }));
    }
    if (this.at) parts.push(svg("line", { class: "cross", x1: x(this.at[0]), x2: x(this.at[0]), y1: 0, y2: 70 }));
    this.svg.replaceChildren(...parts);
    this.svg.setAttribute("aria-label", `${this.title}: ${digits(last)} ${this.unit} now, between ${digits(least)} and ${digits(most)} ${this.unit} in the last ${span((now - this.from) / 1000)}`);
    this.value.replaceChildren(digits(this.at ? this.at[1] : last), el("small", {}, " " + this.unit));
    this.when.textContent = this.at ? "at " + clock(this.at[0], true) : "peak " + digits(most);
    this.left.textContent = clock(this.from);
    this.middle.textContent = "0 to " + digits(top) + " " + this.unit;
  }
}

const RESULTS = { ok: ["ok", 1], warn: ["warn", .75], fail: ["bad", 1], unknown: ["idle", .5] };
// The last results of a check, oldest first: [ms, result, duration in ms]. Height is the duration; a failure is cut in two.
const strip = (name, records) => {
  const last = records.slice(-40);
  const slowest = Math.max(1, ...last.map((r) => r[2] || 0));
  const bars = last.flatMap((r, i) => {
    const [tone] = RESULTS[r[1]] || RESULTS.unknown;
    const h = 5 + 17 * Math.sqrt((r[2] || 0) / slowest), x = 200 - (last.length - i) * 5;
    const title = svg("title", {}, `${clock(r[0], true)} ${r[1]}${r[2] === null || r[2] === undefined ? "" : ", " + digits(r[2]) + " ms"}`);
    if (tone !== "bad") return [svg("rect", { class: "tone-" + tone, x, y: 25 - h, width: 3.6, height: h, rx: 1 }, title)];
    return [svg("rect", { class: "tone-bad", x, y: 1, width: 3.6, height: 12, rx: 1 }, title), svg("rect", { class: "tone-bad", x, y: 16, width: 3.6, height: 9, rx: 1 })];
  });
  const bad = last.filter((r) => r[1] === "fail").length;
  return svg("svg", { class: "strip", viewBox: "0 0 200 26", preserveAspectRatio: "xMaxYMid meet", role: "img", "aria-label": `${name}: of the last ${last.length} results ${bad ? bad + " failed" : "none failed"}` }, ...bars);
};

const LANES = [
  ["failures", "bad", ["failure_detected", "health_check_failed", "dependency_failed", "script_error", "policy_rejected", "remediation_exhausted"]],
  ["restarts", "warn", ["restart_initiated", "engine_restarted"]],
  ["remedies", "idle", ["remediation_started", "remediation_step", "remediation_completed", "process_scaled", "maintenance"]],
  ["good news", "ok", ["startup_completed", "recovery_completed", "health_check_passed", "dependency_ready"]],
];
// What happened in the last hour, a lane for each kind.
const timeLine = (events, now, started, width) => {
  const from = now - Math.max(600e3, Math.min(3600e3, now - started));
  const left = 78, step = 30, height = LANES.length * step + 22;
  const x = (ms) => left + 8 + (width - left - 24) * (ms - from) / (now - from);
  const parts = [];
  const said = [];
  LANES.forEach(([lane, tone, names], i) => {
    const y = i * step + 18;
    const there = events.filter((e) => e.ms >= from && names.includes(e.event));
    parts.push(svg("line", { class: "lane", x1: left, x2: width, y1: y, y2: y }), svg("text", { x: 0, y: y + 4 }, lane));
    said.push(there.length + " " + lane);
    for (const e of there) {
      const place = svg("g", { transform: `translate(${(x(e.ms) - 8).toFixed(1)} ${y - 8}) scale(.8)` }, ...shape(tone));
      place.append(svg("title", {}, clock(e.ms, true) + " " + e.event + (e.about ? " · " + e.about : "")));
      parts.push(place);
    }
  });
  const ticks = width > 600 ? 6 : 3;
  for (let i = 0; i <= ticks; i++) {
    const ms = from + (now - from) * i / ticks;
    parts.push(svg("text", { x: x(ms), y: height - 4, "text-anchor": i === ticks ? "end" : i ? "middle" : "start" }, i === ticks ? "now" : clock(ms)));
  }
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `In the last ${span((now - from) / 1000)}: ${said.join(", ")}` }, ...parts);
};
