// Drawing on demand, and what the user does.

const scroller = document.getElementById("scroller"), content = document.getElementById("content"), stage = document.getElementById("stage");
const byID = (id) => document.getElementById(id);

let scheduled = false;

function refresh() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    draw();
  });
}

function draw() {
  view.width = scroller.clientWidth;
  gutter = view.width < smallScreen ? 112 : 168;
  view.height = scroller.clientHeight;
  view.scroll = scroller.scrollTop;
  arrange();
  content.style.height = layout.height + "px";
  stage.style.height = view.height + "px";
  drawMessages(drawAxis());
  drawShapes();
  drawOverview();
  const decimals = Math.min(6, Math.max(1, Math.ceil(10 - Math.log10(view.until - view.from))));
  byID("range").textContent = `${moment(Math.max(view.from, 0), decimals)} – ${moment(Math.min(view.until, end), decimals)}` + (crowd ? `: ${crowd.total} messages, as a density` : "");
  const filtered = view.host || view.task || view.procedure >= 0 || view.fate;
  byID("clear").hidden = !filtered;
  document.documentElement.dataset.ready = "yes";
}

// Filters.

function filtered() {
  view.host = byID("filter-host").value.trim();
  view.task = byID("filter-task").value.trim();
  view.procedure = byID("filter-procedure").value === "" ? -1 : Number(byID("filter-procedure").value);
  view.fate = byID("filter-fate").value;
  filterTasks();
  filterHosts();
  refresh();
}

function option(value, text) {
  const o = document.createElement("option");
  o.value = value;
  o.textContent = text;
  return o;
}

run.procedures.map((name, i) => [name, i]).sort(([a], [b]) => (a < b ? -1 : 1)).forEach(([name, i]) => byID("filter-procedure").append(option(i, name)));
byID("hosts").append(...run.hosts.slice(0, 500).map((h) => option(h.name, "")));
byID("tasks").append(...run.functions.filter((f) => f).map((f) => option(f, "function")), ...run.tasks.slice(0, 500).map((t) => option(t, "")));
for (const id of ["filter-host", "filter-task", "filter-procedure", "filter-fate"]) byID(id).addEventListener("input", filtered);
byID("controls").addEventListener("submit", (e) => e.preventDefault());

function setFilter(id, value) {
  byID(id).value = value;
  filtered();
}

byID("clear").addEventListener("click", () => {
  for (const id of ["filter-host", "filter-task", "filter-procedure", "filter-fate"]) byID(id).value = "";
  filtered();
});

// Zoom.

byID("zoom-in").addEventListener("click", () => zoom(0.5));
byID("zoom-out").addEventListener("click", () => zoom(2));
byID("zoom-all").addEventListener("click", () => show(-room(), end + room()));
byID("zoom-violation")?.addEventListener("click", showViolation);
for (const button of document.querySelectorAll(".follow")) {
  button.addEventListener("click", () => setFilter("filter-task", view.task === button.dataset.task ? "" : button.dataset.task));
}
for (const time of document.querySelectorAll(".exact")) time.textContent = exact(Number(time.dataset.at));
for (const button of document.querySelectorAll(".proof button, .moment")) {
  button.textContent = exact(Number(button.dataset.at));
  button.addEventListener("click", () => {
    const at = Number(button.dataset.at), lane = layout.lanes.get(Number(button.dataset.host));
    show(at - 25e6, at + 25e6);
    if (lane) scroller.scrollTop = lane.top - view.height / 3;
  });
}

byID("chart").addEventListener("wheel", (e) => {
  const sideways = e.shiftKey ? e.deltaY || e.deltaX : e.deltaX;
  // Where all lanes can be seen there is nothing to scroll to, and the wheel zooms by itself.
  if (e.ctrlKey || e.metaKey || (layout.height <= view.height && !e.shiftKey && Math.abs(e.deltaY) > Math.abs(e.deltaX))) {
    e.preventDefault();
    zoom(Math.exp(Math.max(-60, Math.min(60, e.deltaY)) * 0.006), e.clientX - stage.getBoundingClientRect().left - gutter);
  } else if (sideways) {
    e.preventDefault();
    pan(sideways);
  }
}, { passive: false });

// Two fingers zoom.
const fingers = new Map();
for (const handle of [stage, axis]) {
  handle.addEventListener("pointerdown", (e) => { if (e.pointerType === "touch") fingers.set(e.pointerId, e.clientX); });
}
addEventListener("pointermove", (e) => {
  if (!fingers.has(e.pointerId)) return;
  if (fingers.size === 2) {
    const before = [...fingers.values()], apart = Math.abs(before[0] - before[1]);
    fingers.set(e.pointerId, e.clientX);
    const after = [...fingers.values()], now = Math.abs(after[0] - after[1]);
    if (apart > 20 && now > 20) zoom(apart / now, (after[0] + after[1]) / 2 - stage.getBoundingClientRect().left - gutter);
  }
  fingers.set(e.pointerId, e.clientX);
});
for (const type of ["pointerup", "pointercancel"]) addEventListener(type, (e) => fingers.delete(e.pointerId));

let dragged = false;
for (const handle of [stage, axis]) {
  handle.addEventListener("pointerdown", (e) => {
    if (e.button !== 0) return;
    let x = e.clientX;
    const start = x;
    dragged = false;
    const move = (e) => {
      if (!dragged && Math.abs(e.clientX - start) < 4) return;
      dragged = true;
      handle.classList.add("dragging");
      hush();
      if (fingers.size < 2) pan(x - e.clientX);
      x = e.clientX;
    };
    const up = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", up);
      removeEventListener("pointercancel", up);
      handle.classList.remove("dragging");
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", up);
    addEventListener("pointercancel", up);
  });
}
scroller.addEventListener("scroll", refresh);

// Pointing at things.

function thingOf(target) {
  const e = target.closest?.(".item, .mark, .label, .flag");
  return e ? things.get(e) : undefined;
}

function point(e) {
  if (e.buttons) return;
  let thing = thingOf(e.target);
  const inside = stage.getBoundingClientRect(), x = e.clientX - inside.left - gutter;
  const under = !thing || thing.type === "state" || thing.type === "group" || thing.type === "mark" ? (stage.contains(e.target) && x >= 0 ? at(x, e.clientY - inside.top) : null) : null;
  thing = under ?? thing;
  const message = thing?.type === "message" ? thing : null;
  if (message !== view.message) {
    view.message = message;
    refresh();
  }
  stage.style.cursor = message ? "pointer" : "";
  if (thing) tell(thing, e.clientX, e.clientY);
  else hush();
}
stage.addEventListener("pointermove", point);
axis.addEventListener("pointermove", point);
for (const e of [stage, axis]) {
  e.addEventListener("pointerleave", () => {
    hush();
    if (view.message) {
      view.message = null;
      refresh();
    }
  });
}

// act is what a click or the enter key does.
function act(thing) {
  switch (thing?.type) {
    case "attempt":
      setFilter("filter-task", view.task ? "" : run.tasks[thing.task]);
      break;
    case "lane":
      setFilter("filter-host", view.host ? "" : run.hosts[thing.host].name);
      break;
    case "group":
      toggleGroup(thing.group.role);
      break;
    case "cluster": case "span": case "state": {
      const around = Math.max((thing.until - thing.from) * 0.1, 1e6);
      show(thing.from - around, thing.until + around);
      break;
    }
    case "mark":
      if (thing.kind === "violation") showViolation();
  }
}

// A finger is wider than a bar: it means the nearest item within reach, if it hits none that is more than what lies behind.
const reach = 20; // pixels

function nearest(x, y) {
  let best = null, least = reach;
  for (const e of shapes.querySelectorAll(".item.attempt, .item.span")) {
    const b = e.getBoundingClientRect();
    const d = Math.hypot(Math.max(b.left - x, 0, x - b.right), Math.max(b.top - y, 0, y - b.bottom));
    if (d < least) {
      best = things.get(e);
      least = d;
    }
  }
  return best;
}

// The first tap says what a thing is, which a pointer does from above it, and the next one acts.
let tapped = null;

function tap(e) {
  let thing = thingOf(e.target);
  if (!thing || ["state", "mark"].includes(thing.type)) thing = nearest(e.clientX, e.clientY) ?? thing;
  const box = stage.getBoundingClientRect();
  if (!thing || thing.type === "state") thing = at(e.clientX - box.left - gutter, e.clientY - box.top) ?? thing;
  const again = thing && tapped === (thing.key ?? thing);
  tapped = thing ? thing.key ?? thing : null;
  if (thing && !again && !["group", "lane"].includes(thing.type)) return tell(thing, e.clientX, e.clientY);
  hush();
  tapped = null;
  act(thing);
}
stage.addEventListener("click", (e) => {
  if (dragged) return;
  if (e.pointerType === "touch") tap(e);
  else act(thingOf(e.target));
});

// The keyboard.

shapes.addEventListener("focusin", (e) => {
  const thing = things.get(e.target);
  if (!thing) return;
  view.focused = thing.key;
  const box = e.target.getBoundingClientRect();
  if (e.target.matches(":focus-visible")) tell(thing, Math.max(box.left, stage.getBoundingClientRect().left + gutter), box.bottom);
});
shapes.addEventListener("focusout", hush);

// focus brings an item into view and gives it the keyboard.
function focus(row, item) {
  view.focused = item.key;
  if (row.top < scroller.scrollTop || row.top + row.height > scroller.scrollTop + view.height) scroller.scrollTop = row.top - 20;
  if (item.type !== "group") around(item.from, item.until);
  draw();
  pool.get(item.key)?.focus({ focusVisible: true });
}

function rowOf(thing) {
  return layout.rows.find((r) => r.key === thing.key || r.items.includes(thing) || thing.type === "cluster" && r.items.includes(thing.attempts[0]));
}

function step(key, thing) {
  const rows = layout.rows.filter((r) => r.items.length), row = rowOf(thing);
  const self = thing.type === "cluster" ? thing.attempts[0] : thing.type === "group" ? row.items[0] : thing, i = row.items.indexOf(self);
  if (key === "ArrowRight" || key === "ArrowLeft") {
    const next = row.items[i + (key === "ArrowRight" ? 1 : -1)];
    if (next) focus(row, next);
    return;
  }
  const other = rows[rows.indexOf(row) + (key === "ArrowDown" ? 1 : -1)];
  if (!other) return;
  const nearest = other.items.reduce((a, b) => (Math.abs(b.from - self.from) < Math.abs(a.from - self.from) ? b : a));
  focus(other, nearest);
}

// stepMessage goes to the next or the previous message of the host whose item has the keyboard, or of any.
function stepMessage(forward, thing) {
  const host = thing?.host, shown = messages.filter((m) => messageShown(m) && (host === undefined || m.from === host || m.to === host));
  if (shown.length === 0) return;
  let i = shown.indexOf(view.message);
  if (i < 0) {
    const from = thing?.from ?? view.from;
    i = shown.findIndex((m) => m.sent >= from);
    if (i < 0) i = shown.length - 1;
  } else {
    i = Math.min(Math.max(i + (forward ? 1 : -1), 0), shown.length - 1);
  }
  const m = view.message = shown[i];
  around(m.sent, m.over);
  draw();
  const p = place(m), box = stage.getBoundingClientRect();
  if (p) tell(m, box.left + gutter + p.x2, box.top + p.y2);
}

document.addEventListener("keydown", (e) => {
  if (e.target.closest?.("input, select, button") || e.ctrlKey || e.metaKey || e.altKey) return;
  const thing = things.get(e.target);
  switch (e.key) {
    case "+": case "=": zoom(0.5); break;
    case "-": zoom(2); break;
    case "0": show(-room(), end + room()); break;
    case "a": pan(-plotWidth() / 5); break;
    case "d": pan(plotWidth() / 5); break;
    case "v": if (run.violation) showViolation(); break;
    case "g": {
      const roles = layout.rows.filter((r) => r.type === "group").map((r) => r.group.role), some = roles.some((role) => !opened.has(role));
      for (const role of roles) if (opened.has(role) !== some) toggleGroup(role);
      break;
    }
    case "n": case "p": stepMessage(e.key === "n", thing); break;
    case "Escape": view.message = null; hush(); refresh(); break;
    case "Enter": case " ": if (!thing) return; act(thing); break;
    case "ArrowLeft": case "ArrowRight": case "ArrowUp": case "ArrowDown":
      if (!thing) return;
      step(e.key, thing);
      break;
    default: return;
  }
  e.preventDefault();
});

// The legend.

const bar = (outcome) => `<svg width="22" height="12"><g class="attempt ${outcome}"><rect x="1" y="1" width="20" height="10" rx="2"></rect></g></svg>`;
const arrow = (colour, cut) => `<svg width="26" height="12"><path d="M1 6H${cut ? 14 : 19}" style="stroke:var(--${colour});stroke-width:1.5"${colour === "late" ? ' stroke-dasharray="4 3"' : ""}/>` +
  (cut ? `<path d="M10 2l8 8m0-8l-8 8" style="stroke:var(--${colour});stroke-width:1.8"/>` : `<path d="M25 6l-7-3v6z" style="fill:var(--${colour})"/>`) + "</svg>";
const band = (kind) => `<svg width="22" height="12"><g class="${kind}"><rect x="1" y="1" width="20" height="10" class="${kind}"></rect></g></svg>`;
const line = (kind) => `<svg width="14" height="14"><path class="mark ${kind}" d="M7 0V14"/></svg>`;
byID("legend").innerHTML = [
  ["succeeded", bar("succeeded")], ["failed", bar("failed")], ["stopped", bar("stopped")], ["vanished with its worker", bar("vanished")],
  ["still running", bar("running")], ["succeeded, refused as stale", bar("succeeded stale")],
  ["request", arrow("request")], ["response", arrow("response")], ["lost", arrow("lost", true)], ["late", arrow("late", true)],
  ["fault in force", band("span")], ["fault acts", '<svg width="12" height="12"><path d="M6 1l4.5 5L6 11 1.5 6z" style="fill:var(--fault)"/></svg>'],
  ["host down", band("state down")], ["host paused", band("state paused")], ["host cut off", band("tint")],
  ...(groupsOf(run.hosts.map((_, i) => i)).size ? [["how busy many hosts are", '<svg width="22" height="12"><path d="M1 11V6h4V3h5v5h5V4h6v7z" style="fill:var(--succeeded);fill-opacity:.75"/></svg>']] : []),
  ["heal", line("heal")], ["audit", line("judged")], ...(run.violation ? [["violation", line("violation")]] : []), ...(attempts.some(isSubject) ? [["what it is about", bar("succeeded subject")]] : []),
].map(([text, picture]) => `<span>${picture}${text}</span>`).join("") +
  '<span class="keys">Drag to pan, Ctrl + wheel to zoom; keys: + − 0 a d g, Tab and arrows, n p</span>';

// The theme was set before, and may change.
document.addEventListener("themechange", () => {
  readColours();
  refresh();
});

addEventListener("resize", refresh);
new ResizeObserver(refresh).observe(scroller);
readColours();
refresh();
if (run.violation) showViolation();
else showWork();
