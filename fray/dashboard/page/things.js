// Actors, objects, limits and schedules.

const listView = (title, procedure, field, key, columns, empty) => ({
  title: () => title,
  paged: true,
  load: (signal, view) => call(procedure, { pageSize: 50, pageToken: view.page.token }, signal),
  draw: (list, view) => [table(columns, (list[field] ?? []).map((of) => ({ of, key: key(of) })), empty), pager(view, list)],
});

const actorKinds = { pending: "pending", placed: "leased", live: "running", restarting: "stopped", dead: "cancelled" };

const actorsView = listView("Actors", "ListActors", "actors", (a) => a.actorId, [
  { name: "actor", wide: true, cell: (a) => [taskLink(a.actorId), a.name ? h("div", { class: "small" }, a.name) : null] },
  { name: "state", cell: (a) => { const s = plain("ACTOR_STATE_", a.state); return badge(actorKinds[s] ?? "pending", s); } },
  { name: "function", cell: (a) => h("code", {}, a.function) },
  { name: "worker", cell: (a) => workerLink(a.workerId) },
  { name: "calls open", number: true, cell: (a) => number(count(a.openCallCount)) },
  { name: "at the actor", number: true, cell: (a) => number(a.handedCallCount ?? 0) },
  { name: "restarts", number: true, cell: (a) => `${a.restartCount ?? 0} of ${a.maxRestarts ?? 0}` },
  { name: "job", cell: (a) => jobLink(a.jobId) },
], "There are no actors.");

const objectsView = listView("Objects", "ListObjects", "objects", (o) => o.object.objectId + (o.owner ?? ""), [
  { name: "object", wide: true, cell: (o) => h("code", { title: o.object.objectId }, `${o.object.objectId.slice(0, 16)}…`) },
  { name: "size", number: true, cell: (o) => bytes(count(o.object.sizeBytes)) },
  { name: "encoding", cell: (o) => o.object.encoding },
  { name: "pieces", number: true, cell: (o) => number(o.object.pieceCount ?? 0) },
  { name: "held by", wide: true, cell: (o) => [(o.jobIds ?? []).map((j) => [jobLink(j), " "]), count(o.jobCount) > (o.jobIds?.length ?? 0) ? `and ${number(count(o.jobCount) - o.jobIds.length)} more` : ""] },
  { name: "owner", cell: (o) => o.owner ?? "" },
], "There are no objects.");

const limitsView = listView("Limits", "ListLimits", "limits", (l) => JSON.stringify([l.limit.name, l.limit.key, l.owner]), [
  { name: "limit", wide: true, cell: (l) => [h("code", {}, l.limit.name), l.limit.key ? [" ", h("code", { class: "label" }, l.limit.key)] : null] },
  { name: "at once", cell: (l) => (l.limit.maxConcurrent ? [bar([{ of: count(l.inUseCount), kind: "running" }], l.limit.maxConcurrent, `${count(l.inUseCount)} of ${l.limit.maxConcurrent}`), h("span", { class: "small" }, `${number(count(l.inUseCount))} of ${number(l.limit.maxConcurrent)}`)] : "any number") },
  { name: "starts", cell: (l) => (l.limit.maxStarts ? `${number(l.limit.maxStarts)} in ${span(count(l.limit.periodMs))}; ${number(l.startCount ?? 0)} now` : "any number") },
  { name: "waiting", number: true, cell: (l) => number(count(l.waitingCount)) },
  { name: "owner", cell: (l) => l.owner ?? "" },
], "No open task has a limit.");

const schedulesView = listView("Schedules", "ListSchedules", "schedules", (s) => s.scheduleId, [
  { name: "schedule", wide: true, cell: (s) => [taskLink(s.scheduleId), h("div", { class: "small" }, s.name)] },
  { name: "times", cell: (s) => [h("code", {}, s.cron), h("div", { class: "small" }, s.timeZone || "UTC")] },
  { name: "next", cell: (s) => (count(s.nextUnixMs) ? [moment(s.nextUnixMs), h("div", { class: "small" }, `in ${span(count(s.nextUnixMs) - now())}`)] : "never") },
  { name: "last run", cell: (s) => (s.lastRunId ? [link(`tasks/${encodeURIComponent(s.lastRunId)}`, moment(s.lastRunUnixMs)), h("div", { class: "small" }, ago(s.lastRunUnixMs))] : "none yet") },
  { name: "runs", number: true, cell: (s) => number(count(s.runCount)) },
  { name: "missed", number: true, cell: (s) => number(count(s.missedCount)) },
  { name: "function", cell: (s) => h("code", {}, s.function) },
  { name: "job", cell: (s) => jobLink(s.jobId) },
], "There are no schedules.");
