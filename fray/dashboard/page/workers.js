// Workers: all of them, and one with its attempts over time.

async function loadWorkers(signal) {
  const workers = [];
  for (let token = ""; ;) {
    const page = await call("ListWorkers", { pageToken: token }, signal);
    workers.push(...(page.workers ?? []));
    token = page.nextPageToken;
    if (!token || workers.length >= 5000) return workers;
  }
}

function workerState(w) {
  if (w.draining) return badge("stopped", "draining");
  if (count(w.backedOffMs)) return badge("failed", `backed off for ${span(count(w.backedOffMs))}`);
  if (w.setAside) return badge("leased", "set aside for one task");
  return badge("completed", "serving");
}

const usage = (w) => Object.entries(w.resources ?? {}).map(([name, total]) => `${name} ${number(count(w.resourcesInUse?.[name]))} of ${number(count(total))}`).join(", ");
const labels = (w) => Object.entries(w.labels ?? {}).map(([k, v]) => h("code", { class: "label" }, `${k}=${v}`));

const slotsOf = (w) => [
  bar([{ of: Math.min(w.heldCount ?? 0, w.slots), kind: "running" }], w.slots, `${w.heldCount ?? 0} attempts, ${w.slots} slots`),
  h("span", { class: "small" }, `${number(w.heldCount ?? 0)} of ${number(w.slots)}`),
];

const workersView = {
  title: () => "Workers",
  load: loadWorkers,
  draw(workers, view) {
    const q = (view.query.get("find") ?? "").toLowerCase();
    const match = (w) => !q || [w.workerId, ...(w.functions ?? []), ...Object.entries(w.labels ?? {}).map((l) => l.join("="))].some((s) => s.toLowerCase().includes(q));
    const found = workers.filter(match);
    const shown = found.slice(0, 200);
    return [
      filters(view, [{ name: "find", label: "id, function or label" }]),
      table([
        { name: "worker", wide: true, cell: (w) => workerLink(w.workerId) },
        { name: "state", cell: workerState },
        { name: "slots", cell: slotsOf },
        { name: "resources", cell: usage },
        { name: "labels", wide: true, cell: labels },
        { name: "functions", number: true, cell: (w) => number(w.functions?.length ?? 0) },
        { name: "heard of", cell: (w) => when(w.lastHeartbeatUnixMs) },
        { name: "registered", cell: (w) => when(w.registeredUnixMs) },
      ], rowsOf(shown, "workerId"), q ? "No worker matches." : "There are no workers: start one with fray worker, or a program with worker.New."),
      found.length > shown.length ? h("p", { class: "note" }, `${number(found.length - shown.length)} more: search for them.`) : null,
    ];
  },
};

const workerView = {
  title: (view) => `Worker ${view.id}`,
  async load(signal, view) {
    const [workers, tasks] = await Promise.all([
      loadWorkers(signal), call("ListTasks", { workerId: view.id, newestFirst: true, pageSize: 300 }, signal),
    ]);
    return { worker: workers.find((w) => w.workerId === view.id), tasks: tasks.tasks ?? [] };
  },
  draw({ worker: w, tasks }, view) {
    return [
      w ? h("section", { class: "headline" }, workerState(w)) : h("p", { class: "note" }, "No worker of this id has a session now."),
      w && facts([
        ["slots", slotsOf(w)], ["resources", usage(w)], ["labels", labels(w)], ["address", w.advertiseUrl], ["heard of", when(w.lastHeartbeatUnixMs)], ["registered", when(w.registeredUnixMs)],
        ["functions", (w.functions ?? []).slice(0, 50).map((f) => h("code", { class: "label" }, f)).concat((w.functions?.length ?? 0) > 50 ? [`and ${w.functions.length - 50} more`] : [])]]),
      w && !w.draining ? h("div", { class: "actions" }, h("button", { type: "button", class: "danger", click: () => drainWorker(view.id) }, "Drain")) : null,
      h("section", {}, h("h2", {}, "Attempts ", h("span", { class: "small" }, "of each task the last one; the latest tasks that are kept")),
        filters(view, [{ name: "last", label: "of the last", kind: "select", options: Object.keys(spans) }]), lanes(tasks, spans[view.query.get("last")] ?? Infinity)),
      taskTable(tasks.slice(0, 50), { worker: false }),
    ];
  },
};

const spans = { minute: 60e3, "10-minutes": 600e3, hour: 3600e3, day: 86400e3 };

// lanes draws the attempts of the last so many milliseconds, side by side where they overlap.
function lanes(tasks, most) {
  const attempts = tasks.filter((t) => count(t.leasedUnixMs)).map((t) => ({
    t, from: count(t.leasedUnixMs), until: statusOf(t) === "pending" ? 0 : count(t.finishedUnixMs) || now(), open: !count(t.finishedUnixMs),
  })).filter((a) => a.until >= a.from).sort((a, b) => a.from - b.from);
  if (attempts.length === 0) return h("p", { class: "empty" }, "It has had no attempt of a task that is kept.");
  const until = attempts.some((a) => a.open) || most < Infinity ? now() : Math.max(...attempts.map((a) => a.until));
  const from = Math.max(attempts[0].from, until - most);
  const length = Math.max(until - from, 1);
  const inSight = attempts.filter((a) => a.until >= from);
  const ends = []; // of the last attempt in each lane
  for (const a of inSight) {
    let lane = ends.findIndex((end) => end <= a.from);
    if (lane < 0) lane = ends.length;
    ends[lane] = a.until;
    a.lane = lane;
  }
  const maxLanes = 40, height = 14;
  const shown = Math.min(ends.length, maxLanes);
  if (inSight.length === 0) return h("p", { class: "empty" }, "It has had no attempt in this time.");
  const at = (ms) => 1000 * (ms - from) / length;
  const middle = from + length / 2;
  return [
    h("div", { class: "lanes" }, h("svg", { viewBox: `0 0 1000 ${shown * height}`, preserveAspectRatio: "none", height: shown * height, role: "group", "aria-label": `${inSight.length} attempts from ${moment(from)} until ${moment(until)}` },
      inSight.filter((a) => a.lane < maxLanes).map((a) => h("rect", {
        key: a.t.taskId, class: `attempt ${statusOf(a.t)}`, x: at(Math.max(a.from, from)).toFixed(2), width: Math.max(at(a.until) - at(Math.max(a.from, from)), 1.5).toFixed(2), y: a.lane * height + 1, height: height - 2,
        click: () => { location.hash = `#/tasks/${encodeURIComponent(a.t.taskId)}`; },
      }, h("title", {}, `${a.t.taskId} ${a.t.function}: ${statusOf(a.t)}, ${span(a.until - a.from)}`))))),
    h("div", { class: "axis" }, h("span", {}, moment(from)), h("span", {}, moment(middle)), h("span", {}, moment(until))),
    ends.length > maxLanes ? h("p", { class: "note" }, `${ends.length - maxLanes} more lanes are not drawn.`) : null,
  ];
}
