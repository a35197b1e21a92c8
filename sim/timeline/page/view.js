// What part of the run is shown, and which of it.

// Pixels for the names of rows, which are fewer on a small screen.
let gutter = 168;
const smallScreen = 600;
const leastSpan = 2000; // nanoseconds

const view = {
  from: 0, until: end, width: 1000, height: 400, scroll: 0,
  host: "", task: "", procedure: -1, fate: "",
  focused: null, // key of the item that has the keyboard
  message: null, // that the pointer or the keyboard is at
};

const plotWidth = () => Math.max(50, view.width - gutter);
const xOf = (t) => ((t - view.from) / (view.until - view.from)) * plotWidth();
const timeAt = (x) => view.from + (x / plotWidth()) * (view.until - view.from);

// The run has a little room at both ends, so that what happens there can be seen.
const room = () => end * 0.02;

// show makes these times visible.
function show(from, until) {
  const span = Math.min(Math.max(until - from, leastSpan), end + 2 * room());
  const middle = (from + until) / 2;
  view.from = Math.min(Math.max(middle - span / 2, -room()), end + room() - span);
  view.until = view.from + span;
  refresh();
}

// zoom changes the span by a factor and keeps the time at x where it is.
function zoom(factor, x = plotWidth() / 2) {
  const at = timeAt(x), span = Math.min(Math.max((view.until - view.from) * factor, leastSpan), end + 2 * room());
  const from = at - (x / plotWidth()) * span;
  show(from, from + span);
}

// pan moves by so many pixels.
function pan(pixels) {
  const d = (pixels / plotWidth()) * (view.until - view.from);
  show(view.from + d, view.until + d);
}

// around shows a time within its surroundings, unless it can be seen already.
function around(from, until = from) {
  if (from >= view.from && until <= view.until) return refresh();
  const span = Math.max(view.until - view.from, (until - from) * 1.2);
  show((from + until) / 2 - span / 2, (from + until) / 2 + span / 2);
}

// showWork shows what the run is about: from its start until all attempts are over, rather than idle hours after them.
function showWork() {
  const last = Math.max(0, ...attempts.map((a) => a.until)) * 1.06;
  if (last > 0 && last < end * 0.7) show(-last * 0.02, last);
  else show(-room(), end + room());
}

// showViolation shows what proves the violation, and the time before that.
function showViolation() {
  const v = run.violation;
  const times = (v.proof ?? []).map((p) => p.at).concat(v.at, attempts.filter(isSubject).map((a) => a.from));
  const from = Math.min(...times), span = Math.max((v.at - from) * 1.35, Math.min(2e9, end));
  if (span > end * 0.7) show(-room(), end + room());
  else show(v.at - span * 0.92, v.at + span * 0.08);
}

// Filters: a host is shown with the controller, which all of them talk to; a task by its name or that of its function.
// The name of a host stands for that host alone, and not for others whose names begin with it.
let hostNamed = () => true;
const hostShown = (h) => !view.host || hostNamed(h) || run.hosts[h].role === "controller";

function filterHosts() {
  const exactly = run.hosts.findIndex((h) => h.name === view.host);
  hostNamed = (h) => (exactly >= 0 ? h === exactly : run.hosts[h].name.includes(view.host));
}
let taskShown = () => true;

function filterTasks() {
  if (!view.task) {
    taskShown = () => true;
    return;
  }
  const exactly = run.tasks.indexOf(view.task);
  const shown = run.tasks.map((name, i) => (exactly >= 0 ? i === exactly : name.includes(view.task)));
  taskShown = (task) => shown[task];
}

const attemptShown = (a) => taskShown(a.task) || run.functions[a.function] === view.task;

function messageShown(m) {
  if (view.fate === "none" || (view.fate === "lost" && m.style !== look.lost)) return false;
  if (view.procedure >= 0 && m.procedure !== view.procedure) return false;
  if (view.task && !m.tasks.some(taskShown)) return false;
  return !view.host || ((hostShown(m.from) && hostShown(m.to)) && [m.from, m.to].some(hostNamed));
}
