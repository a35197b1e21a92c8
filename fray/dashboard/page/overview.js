// The first page: how the cluster does, what tasks wait for, and the jobs under way.

const samples = []; // {at, ended} of the cluster, one for each look
const maxSamples = 150;

function sample(info) {
  const at = performance.now();
  const counts = info.taskCounts ?? {};
  const ended = ["COMPLETED", "FAILED", "CANCELLED"].reduce((sum, s) => sum + count(counts[s]), 0);
  const last = samples.at(-1);
  // Ended tasks are forgotten after a while, and a controller starts anew: fewer than before say nothing of a rate.
  const perSecond = last && ended >= last.ended ? 1000 * (ended - last.ended) / Math.max(at - last.at, 1) : 0;
  samples.push({ at, ended, perSecond });
  if (samples.length > maxSamples) samples.shift();
}

// recently is the rate of the last quarter of a minute.
function recently() {
  const near = samples.filter((s) => s.at > performance.now() - 15000).slice(1);
  return near.length ? near.reduce((sum, s) => sum + s.perSecond, 0) / near.length : 0;
}

const overview = {
  title: () => "Overview",
  async load(signal) {
    const [pending, jobs] = await Promise.all([call("ListPending", {}, signal), call("ListJobs", { openOnly: true, pageSize: 12 }, signal)]);
    return { pending, jobs };
  },
  draw({ pending, jobs }) {
    const info = cluster.info;
    const counts = info.taskCounts ?? {};
    const of = (s) => count(counts[s]);
    const held = of("LEASED") + of("RUNNING");
    const slots = info.slotCount ?? 0;
    jobs.jobs?.forEach(noteJob);
    return [
      h("section", { class: "tiles" },
        tile("waiting", number(of("PENDING")), of("PENDING") ? `the first ready one for ${span(count(info.oldestReadyAgeMs))}` : "nothing waits"),
        tile("at workers", number(held), [`${number(of("RUNNING"))} running, of ${number(slots)} slots`,
          bar([{ of: of("RUNNING"), kind: "running" }, { of: of("LEASED"), kind: "leased" }], Math.max(slots, held), `${held} of ${slots} slots`)]),
        tile("workers", number(info.workerCount ?? 0), link("workers", "slots and drains")),
        tile("failed", number(of("FAILED")), of("FAILED") ? link("tasks?status=failed", "look at them") : "none that is kept", of("FAILED") ? "bad" : ""),
        tile("completed", number(of("COMPLETED")), `kept; ${number(of("CANCELLED"))} cancelled`),
        tile("rate", rate(recently()), sparkline(samples.map((s) => s.perSecond), maxSamples, "tasks that ended each second, since this page was opened"))),
      h("section", {}, h("h2", {}, "What tasks wait for"), pendingTable(pending)),
      h("section", {}, h("h2", {}, "Jobs under way ", link("jobs", "all jobs")), jobTable(jobs.jobs, "No job has open tasks.")),
      h("section", {}, h("h2", {}, "Controller"), facts([
        ["version", info.version], ["incarnation", info.controllerIncarnation], ["started", when(info.startedUnixMs)],
        ["queued", bytes(count(info.queuedBytes))],
        ["durability", { none: "none: records end with the process", relaxed: "relaxed: the last moments may be lost with the machine", sync: "sync: acknowledged is on the disk" }[info.durability] ?? info.durability]])),
    ];
  },
};

function pendingTable(pending) {
  const rows = (pending.groups ?? []).map((of) => ({ of, key: `${of.reason}/${of.function}/${of.detail}`, class: of.reason === "PENDING_REASON_NO_ELIGIBLE_WORKER" ? "bad" : "" }));
  return [
    table([
      { name: "tasks", number: true, cell: (g) => number(count(g.count)) },
      { name: "function", cell: (g) => h("code", {}, g.function) },
      { name: "wait for", wide: true, cell: (g) => [waits[g.reason] ?? plain("PENDING_REASON_", g.reason), g.detail ? `: ${g.detail}` : ""] },
      { name: "since", cell: (g) => when(g.sinceUnixMs) },
      { name: "such as", cell: (g) => taskLink(g.taskId) },
      { name: "", cell: (g) => link(`tasks?status=pending&reason=${plain("PENDING_REASON_", g.reason).replaceAll(" ", "-")}&function=${encodeURIComponent(g.function)}`, "list") },
    ], rows, "No task waits."),
    pending.partial ? h("p", { class: "note" }, "There are more tasks than one look takes: these counts are of those that were looked at.") : null,
  ];
}

const waits = {
  PENDING_REASON_READY: "a free slot",
  PENDING_REASON_BLOCKED: "other tasks",
  PENDING_REASON_BACKOFF: "the delay before a retry",
  PENDING_REASON_NO_ELIGIBLE_WORKER: "a worker that can run them",
  PENDING_REASON_RECOVERING: "a worker that may hold them since before the controller's restart",
  PENDING_REASON_DELAYED: "their time",
  PENDING_REASON_MAILBOX: "their actor",
  PENDING_REASON_THROTTLED: "room in a limit",
  PENDING_REASON_SCHEDULED: "the next time of their schedule",
  PENDING_REASON_GANG: "the rest of their gang",
};
