// What is drawn as SVG: rows, bars and bands, each an element that can be pointed at, focused and found.

const svgNS = "http://www.w3.org/2000/svg";
const shapes = document.getElementById("shapes"), axis = document.getElementById("axis");

function make(name, attributes = {}, ...children) {
  const e = document.createElementNS(svgNS, name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  e.append(...children);
  return e;
}

function set(e, attributes) {
  for (const [key, value] of Object.entries(attributes)) {
    const text = String(value);
    if (e.getAttribute(key) !== text) e.setAttribute(key, text);
  }
  return e;
}

function hatch(id, colour, back, width, gap, angle) {
  const p = make("pattern", { id, width: gap, height: gap, patternUnits: "userSpaceOnUse", patternTransform: `rotate(${angle})` });
  p.append(make("rect", { width: gap, height: gap, style: `fill: var(${colour}); fill-opacity: ${back}; stroke: none` }));
  p.append(make("line", { x1: 0, y1: 0, x2: 0, y2: gap, style: `stroke: var(${colour}); stroke-opacity: .55`, "stroke-width": width }));
  return p;
}

const plot = make("svg", { x: gutter, class: "plot" });
const layers = {};
for (const name of ["tints", "states", "marks", "attempts", "spans", "front"]) plot.append(layers[name] = make("g", { class: name }));
const labels = make("g", { class: "labels" }), backs = make("g", { class: "backs" });
const gutterBack = make("rect", { class: "gutter", width: gutter });
shapes.append(make("defs", {}, hatch("hatch-vanished", "--vanished", 0.12, 2.5, 6, 45), hatch("hatch-down", "--down", 0.16, 2.5, 7, -45),
  hatch("hatch-paused", "--paused", 0.16, 3, 8, 90), hatch("hatch-cut", "--cut", 0.07, 1.4, 9, 45), hatch("hatch-gap", "--muted", 0.1, 3, 10, 20)),
gutterBack, backs, plot, labels);

// Elements in use, by key, and what each shows.
const pool = new Map();
let used = new Set();
const things = new WeakMap();

// element returns the element of a key in a layer, made by build if it is new.
function element(key, layer, build) {
  let e = pool.get(key);
  if (!e) {
    e = build();
    e.dataset.key = key;
    pool.set(key, e);
    layer.append(e);
  }
  used.add(key);
  return e;
}

// block draws a thing as a rectangle with a text in it, as far as it fits.
function block(layer, thing, kind, x1, x2, y, height, text, shorten = clip) {
  const left = Math.max(x1, -20), right = Math.min(x2, plotWidth() + 20), width = Math.max(right - left, 1.5);
  const e = element(thing.key, layer, () => {
    const g = make("g", { class: "item " + kind, role: "img", tabindex: -1, "aria-label": inWords(thing) }, make("rect"), make("text"));
    things.set(g, thing);
    return g;
  });
  set(e.firstChild, { x: left, y, width, height, rx: width < 8 ? 0 : 2 });
  const inner = Math.min(right, plotWidth()) - Math.max(left, 0) - 8;
  const label = inner > 18 ? shorten(text, Math.floor(inner / 6.2)) : "";
  if (e.lastChild.textContent !== label) e.lastChild.textContent = label;
  if (label) set(e.lastChild, { x: Math.max(left, 0) + 4, y: y + height / 2 + 0.5 });
  return e;
}

function drawRows(rows) {
  for (const row of rows) {
    const y = row.top - view.scroll, thing = row;
    const g = element("row-" + row.key, labels, () => {
      const label = make("g", { class: "label " + row.type }, make("rect", { x: 0, width: gutter }), make("text", { class: "name", x: 10 }),
        make("text", { class: "role" }));
      if (row.type === "group") set(label, { "data-group": row.group.role, class: "label group" });
      else if (row.type === "lane") set(label, { "data-host": run.hosts[row.host].name, class: "label lane" });
      else set(label, { "data-fault": run.faults[row.fault - 1].id });
      return label;
    });
    things.set(g, thing);
    set(g.children[0], { y: y + 1, height: row.height - 1, width: gutter });
    const letters = Math.floor((gutter - 14) / 7);
    if (row.type === "fault") {
      const f = run.faults[row.fault - 1];
      g.children[1].textContent = clip(f.id, Math.min(17, letters));
      set(g.children[1], { y: y + row.height / 2 });
      g.children[2].textContent = f.id.length > 14 || letters < 20 ? "" : clip(f.kind, 20 - f.id.length);
      set(g.children[2], { x: gutter - 10, y: y + row.height / 2, "text-anchor": "end" });
    } else if (row.type === "group") {
      g.children[1].textContent = clip(`${row.open ? "▾" : "▸"} ${row.group.name}`, letters);
      set(g.children[1], { y: row.line - view.scroll });
      g.children[2].textContent = row.open ? "click to close" : "click to open";
      set(g.children[2], { x: 10, y: row.line - view.scroll + 16 });
    } else {
      const host = run.hosts[row.host], here = perHost[row.host];
      g.children[1].textContent = clip(host.name, letters);
      set(g.children[1], { y: row.line - view.scroll });
      const role = here.attempts.length ? letters < 20 ? `${here.attempts.length} attempts` : `${host.role}, ${here.attempts.length} attempts` : host.role;
      g.children[2].textContent = host.role === host.name ? "" : role;
      set(g.children[2], { x: 10, y: row.line - view.scroll + 16 });
    }
    const edge = element("edge-" + row.key, backs, () => make("line", { class: "row-edge", x1: 0 }));
    set(edge, { x2: view.width, y1: y + row.height - 0.5, y2: y + row.height - 0.5 });
  }
}

// drawGroupItem lets the keyboard and the pointer at a group, whose picture is on the canvas.
function drawGroupItem(row) {
  const item = row.items[0], e = block(layers.states, item, "group", 0, plotWidth(), row.top - view.scroll + 2, row.height - 4, "");
  things.set(e, item);
  set(e, { role: "button", "aria-expanded": row.open, "aria-label": inWords(item), "data-group": row.group.role });
}

function drawSpans(rows) {
  for (const row of rows) {
    if (row.type !== "fault") continue;
    for (const s of row.items) {
      if (s.until < view.from || s.from > view.until) continue;
      const f = run.faults[s.fault - 1], hosts = s.hosts.length > 3 ? `${s.hosts.length} hosts` : s.hosts.map(hostName).join(", ");
      const e = block(layers.spans, s, "span", xOf(s.from), xOf(s.until), row.top - view.scroll + 4, row.height - 8, hosts ? `${f.kind} · ${hosts}` : f.kind);
      set(e, { "data-fault": f.id });
    }
  }
  for (const s of spans) {
    if (!run.faults[s.fault - 1].tints || s.until < view.from || s.from > view.until) continue;
    for (const h of s.hosts) {
      const lane = layout.lanes.get(h);
      if (!lane || lane.type === "group" || run.hosts[h].role === "controller" && s.hosts.length === 1) continue;
      if (lane.top + lane.height < view.scroll || lane.top > view.scroll + view.height) continue;
      const x = Math.max(xOf(s.from), -10), e = element(`tint-${s.index}-${h}`, layers.tints, () => make("rect", { class: "tint" }));
      set(e, { x, y: lane.top - view.scroll + 1, width: Math.max(1, Math.min(xOf(s.until), plotWidth() + 10) - x), height: lane.height - 2 });
    }
  }
}

// Clusters stay small, so that what went wrong in one shows where it did.
const widestCluster = 6;

function drawLane(lane) {
  const top = lane.top - view.scroll, here = perHost[lane.host];
  for (const s of here.states) {
    if (s.kind === "over" || s.until < view.from || s.from > view.until) continue;
    const e = block(layers.states, s, "state " + s.kind, xOf(s.from), xOf(s.until), top + 2, lane.height - 4, "");
    const left = Math.max(xOf(s.from), 0), wide = Math.min(xOf(s.until), plotWidth()) - left > 56;
    e.lastChild.textContent = wide ? s.kind : "";
    set(e.lastChild, { class: "halo", x: left + 5, y: top + lane.height - 9 });
  }
  // Bars too small to be told apart become one.
  const clusters = new Map();
  for (const a of here.attempts) {
    if (a.until < view.from || a.from > view.until) continue;
    const x1 = xOf(a.from), x2 = xOf(a.until), cluster = clusters.get(a.line);
    const small = x2 - x1 < 3 && a.key !== view.focused && attemptShown(a) && !isSubject(a);
    if (small && cluster && x1 - cluster.right < 1.5 && cluster.right - cluster.left < widestCluster) {
      cluster.attempts.push(a);
      cluster.right = Math.max(cluster.right, x2, x1 + 1.5);
      continue;
    }
    if (cluster) drawCluster(lane, cluster);
    clusters.delete(a.line);
    if (small) clusters.set(a.line, { attempts: [a], left: x1, right: Math.max(x2, x1 + 1.5) });
    else drawAttempt(lane, a, x1, x2);
  }
  for (const cluster of clusters.values()) drawCluster(lane, cluster);
}

function drawAttempt(lane, a, x1, x2) {
  const stale = a.verdict === "stale" && a.outcome === "succeeded" ? " stale" : "";
  const y = barTop(lane, a) - view.scroll, name = run.tasks[a.task] + (a.number > 1 ? ` #${a.number}` : "");
  // A little short, so that what follows at once stands apart.
  const e = block(layers.attempts, a, "attempt " + a.outcome + stale, x1, x2 - x1 > 3 ? x2 - 1 : x2, y, barHeight, name, clipName);
  set(e, { "data-task": run.tasks[a.task], "data-outcome": a.outcome, class: `item attempt ${a.outcome}${stale}${isSubject(a) ? " subject" : ""}${attemptShown(a) ? "" : " dim"}` });
}

const worst = ["vanished", "failed", "stopped", "running", "succeeded"];

function drawCluster(lane, c) {
  if (c.attempts.length === 1) return drawAttempt(lane, c.attempts[0], c.left, c.right);
  const first = c.attempts[0], outcome = worst.find((o) => c.attempts.some((a) => a.outcome === o));
  const thing = {
    type: "cluster", key: `cluster-${first.index}-${c.attempts.length}-${outcome}`, attempts: c.attempts, from: first.from,
    until: Math.max(...c.attempts.map((a) => a.until)),
  };
  const e = block(layers.attempts, thing, `attempt cluster ${outcome}`, c.left, c.right, barTop(lane, first) - view.scroll, barHeight, "");
  set(e, { "data-outcome": outcome });
}

// Moments of the whole run.
const marks = [];
if (run.healed > 0) marks.push({ type: "mark", key: "mark-heal", kind: "heal", at: run.healed, label: "heal", title: "Everything is put right", text: run.heals_faults ? "All faults end here." : "Faults that end by themselves have ended." });
if (run.judged >= 0) marks.push({ type: "mark", key: "mark-judged", kind: "judged", at: run.judged, label: "audit", title: "The work is over", text: "Workers are stopped, and a last client asks how every task stands." });
if (run.violation) marks.push({ type: "mark", key: "mark-violation", kind: "violation", at: run.violation.at, label: run.violation.broken || "violation", title: `The run broke ${run.violation.broken}`, text: run.violation.text });

function drawMarks() {
  for (const m of marks) {
    const x = xOf(m.at);
    if (x < -1 || x > plotWidth() + 1) continue;
    const e = element(m.key, layers.marks, () => make("line", { class: `mark ${m.kind}`, "aria-label": inWords(m) }));
    things.set(e, m);
    set(e, { x1: x, x2: x, y1: 0, y2: view.height });
  }
  for (const g of run.gaps) {
    if (g.what !== "messages" || g.until < view.from || g.from > view.until) continue;
    const left = Math.max(xOf(g.from), 0), width = Math.max(Math.min(xOf(g.until), plotWidth()) - left, 1);
    set(element("gap", layers.tints, () => make("rect", { class: "gap" })), { x: left, y: 0, width, height: view.height });
    if (width < 170) continue;
    const name = element("gap-name", layers.front, () => make("text", { class: "gap-name halo", "text-anchor": "middle" }));
    name.textContent = `${g.dropped} messages left out`;
    set(name, { x: left + width / 2, y: (layout.rows.find((r) => r.type !== "fault")?.line ?? 16) - view.scroll + 16 });
  }
}

// steps are what ticks can be apart, in nanoseconds: 1, 2 and 5 of each power of ten, and whole parts of minutes and hours.
const steps = [];
for (let p = 1; p < 1e10; p *= 10) steps.push(p, 2 * p, 5 * p);
steps.push(1e10, 2e10, 3e10, 6e10, 12e10, 3e11, 6e11, 12e11, 18e11, 36e11, 72e11, 144e11, 216e11, 432e11, 864e11);

// placeFlags finds room for the names of moments: side by side, and within the axis.
function placeFlags() {
  const flags = [];
  let taken = gutter;
  for (const m of [...marks].sort((a, b) => a.at - b.at)) {
    const x = gutter + xOf(m.at), width = m.label.length * 6.7 + 12;
    if (x < gutter - 1 || x > view.width + 1) continue;
    const left = Math.max(x - width / 2, taken);
    taken = left + width + 4;
    flags.push({ m, x, left, width });
  }
  let limit = view.width - 2;
  for (const flag of flags.toReversed()) {
    flag.left = Math.min(flag.left, limit - flag.width);
    limit = flag.left - 4;
  }
  return flags;
}

function drawAxis() {
  const children = [], per = (view.until - view.from) / plotWidth();
  const step = steps.find((s) => s / per > 105) ?? steps[steps.length - 1];
  const decimals = step >= 1e9 ? 0 : Math.ceil(9 - Math.log10(step) - 1e-9);
  const ticks = [];
  for (let t = Math.ceil(view.from / step) * step; t <= view.until; t += step) {
    if (t < 0 || t > end + step) continue;
    const x = gutter + xOf(t);
    ticks.push(xOf(t));
    children.push(make("line", { class: "tick", x1: x, x2: x, y1: 34, y2: 42 }));
    const text = moment(t, decimals);
    if (x + 6 + text.length * 6.3 < view.width) children.push(Object.assign(make("text", { class: "time", x: x + 3, y: 31 }), { textContent: text }));
  }
  children.push(Object.assign(make("text", { class: "time", x: 10, y: 31 }), { textContent: "virtual time" }));
  for (const { m, x, left, width } of placeFlags()) {
    const flag = make("g", { class: `flag ${m.kind}` }, make("rect", { x: left, y: 3, width, height: 16 }), make("text", { x: left + 6, y: 11.5 }),
      make("path", { class: `mark ${m.kind}`, d: `M${Math.min(Math.max(x, left), left + width)} 19L${x} 24V42` }));
    flag.children[1].textContent = m.label;
    things.set(flag, m);
    children.push(flag);
  }
  set(axis, { width: view.width, height: 42 });
  axis.replaceChildren(...children);
  return ticks;
}

function drawShapes() {
  used = new Set();
  set(shapes, { width: view.width, height: view.height });
  set(plot, { width: plotWidth(), height: view.height });
  set(plot, { x: gutter });
  set(gutterBack, { height: view.height, width: gutter });
  const rows = visibleRows();
  drawRows(rows);
  drawSpans(rows);
  for (const row of rows) {
    if (row.type === "lane") drawLane(row);
    else if (row.type === "group") drawGroupItem(row);
  }
  drawMarks();
  for (const [key, e] of pool) {
    if (used.has(key)) continue;
    e.remove();
    pool.delete(key);
  }
  // One item can be reached with the tab key, and the others from there.
  const items = shapes.querySelectorAll(".item");
  let reachable = view.focused && pool.get(view.focused);
  reachable ||= items[0];
  for (const item of items) set(item, { tabindex: item === reachable ? 0 : -1 });
}
