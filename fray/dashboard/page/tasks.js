// Tasks: lists with filters, and one.

const statuses = ["pending", "leased", "running", "completed", "failed", "cancelled"];
const reasons = ["ready", "blocked", "backoff", "no-eligible-worker", "recovering", "delayed", "mailbox", "throttled", "scheduled", "gang"];

const enumName = (prefix, text) => prefix + text.toUpperCase().replaceAll("-", "_");

// loadTasks loads a page of tasks that a view's filters let through. A page may be empty and not the last, if
// few of many tasks are: the next ones are looked at then, for a while.
async function loadTasks(signal, view, more) {
  const q = view.query;
  const request = {
    newestFirst: true, pageSize: 50, pageToken: view.page.token, jobId: q.get("job") ?? "", function: q.get("function") ?? "", workerId: q.get("worker") ?? "",
    statuses: (q.get("status") ?? "").split(",").filter((s) => statuses.includes(s)).map((s) => enumName("TASK_STATUS_", s)),
    pendingReasons: (q.get("reason") ?? "").split(",").filter((s) => reasons.includes(s)).map((s) => enumName("PENDING_REASON_", s)),
    ...more,
  };
  const found = { tasks: [], nextPageToken: "" };
  for (let pages = 0; pages < 10; pages++) {
    const page = await call("ListTasks", { ...request, pageSize: request.pageSize - found.tasks.length }, signal);
    found.tasks.push(...(page.tasks ?? []));
    found.nextPageToken = page.nextPageToken ?? "";
    if (!found.nextPageToken || found.tasks.length >= request.pageSize) break;
    request.pageToken = found.nextPageToken;
  }
  return found;
}

// progressOf is what a task's attempt said of itself last.
function progressOf(t) {
  const p = t.progress;
  if (!p) return "";
  return [p.share === undefined ? null : bar([{ of: p.share, kind: "running" }], 1, `${Math.round(100 * p.share)} %`), p.message ?? ""];
}

function taskTable(tasks, shown = {}) {
  tasks ??= [];
  return table([
    { name: "task", wide: true, cell: (t) => taskLink(t.taskId) },
    { name: "status", cell: statusBadge },
    { name: "function", cell: (t) => h("code", {}, t.function) },
    shown.job === false ? null : { name: "job", cell: (t) => jobLink(t.jobId) },
    shown.worker === false ? null : { name: "worker", cell: (t) => workerLink(t.workerId) },
    { name: "attempt", number: true, cell: (t) => (t.attemptNumber ? `${t.attemptNumber}${t.maxAttempts > 1 ? ` of ${t.maxAttempts}` : ""}` : "") },
    { name: "took", number: true, cell: took },
    tasks.some((t) => t.progress) ? { name: "says", cell: progressOf } : null,
    { name: "submitted", cell: (t) => when(t.submittedUnixMs) },
    { name: "why", wide: true, cell: reason },
  ].filter(Boolean), rowsOf(tasks, "taskId"), "There are no such tasks.");
}

// filters is a form that changes the query of the page's address.
function filters(view, fields) {
  const change = (name) => (e) => view.set(name, e.target.type === "checkbox" ? (e.target.checked ? "yes" : "") : e.target.value.trim());
  return h("form", { class: "filters", submit: (e) => e.preventDefault() }, fields.map((f) => {
    const value = view.query.get(f.name) ?? "";
    if (f.kind === "check") return h("label", { key: f.name, class: "check" }, h("input", { type: "checkbox", checked: value === "yes", change: change(f.name) }), f.label);
    if (f.kind === "select") {
      return h("label", { key: f.name }, f.label, h("select", { value, change: change(f.name) },
        h("option", { value: "" }, "any"), f.options.map((o) => h("option", { value: o, selected: o === value }, o.replaceAll("-", " ")))));
    }
    return h("label", { key: f.name }, f.label, h("input", { type: "search", value, placeholder: "any", autocomplete: "off", spellcheck: "false", change: change(f.name) }));
  }));
}

const taskFilters = (view, job = true) => filters(view, [
  { name: "status", label: "status", kind: "select", options: statuses },
  view.query.get("status") === "pending" || view.query.get("reason") ? { name: "reason", label: "waits for", kind: "select", options: reasons } : null,
  { name: "function", label: "function" },
  job ? { name: "job", label: "job" } : null,
  { name: "worker", label: "worker" },
].filter(Boolean));

const tasksView = {
  title: () => "Tasks",
  paged: true,
  load: (signal, view) => loadTasks(signal, view),
  draw: (list, view) => [taskFilters(view), taskTable(list.tasks), pager(view, list)],
};

const taskView = {
  title: (view) => `Task ${view.id}`,
  load: (signal, view) => call("GetTask", { taskId: view.id }, signal),
  draw({ task: t }, view) {
    const status = statusOf(t);
    const over = ["completed", "failed", "cancelled"].includes(status);
    const total = count(t.finishedUnixMs) - count(t.submittedUnixMs);
    return [
      h("section", { class: "headline" }, statusBadge(t), " ", h("span", {}, reason(t))),
      facts([
        ["function", h("code", {}, t.function)], ["job", jobLink(t.jobId)], ["worker", workerLink(t.workerId)],
        ["attempt", t.attemptNumber ? `${t.attemptNumber}, of at most ${Math.max(t.maxAttempts ?? 1, t.attemptNumber)}` : "none yet"],
        ["failures", t.failureCount], ["lost workers", t.workerLossCount], ["never started", t.deliveryFailureCount], ["priority", t.priority],
        ["not before", moment(t.notBeforeUnixMs)],
        ["submitted", [when(t.submittedUnixMs), " at ", moment(t.submittedUnixMs)]],
        ["leased", count(t.leasedUnixMs) ? [when(t.leasedUnixMs), ", after ", span(count(t.leasedUnixMs) - count(t.submittedUnixMs))] : ""],
        ["last attempt took", took(t)],
        ["says", t.progress ? [progressOf(t), h("span", { class: "small" }, " ", when(t.progressUnixMs))] : ""],
        ["ended", count(t.finishedUnixMs) ? [when(t.finishedUnixMs), ", after ", span(total), " in all"] : ""]]),
      h("div", { class: "actions" },
        over ? null : h("button", { type: "button", class: "danger", click: () => cancelTask(t.taskId) }, "Cancel"),
        status === "failed" || status === "cancelled" ? h("button", { type: "button", click: () => retryTask(t.taskId) }, "Retry") : null,
        over && status !== "cancelled" && !view.result ? h("button", { type: "button", click: () => showResult(view) }, status === "failed" ? "Show the error" : "Show the result") : null),
      view.result ? resultOf(view.result) : null,
    ];
  },
};

async function showResult(view) {
  try {
    view.result = (await call("GetTaskResult", { taskId: view.id })).result ?? {};
  } catch (err) {
    tell(err.message, true);
  }
  redraw();
}

const maxShown = 64 << 10;

// payloadText is a value for people to read, as far as it is text.
function payloadText(p) {
  const raw = Uint8Array.from(atob(p.data ?? ""), (c) => c.charCodeAt(0));
  const note = `${p.encoding || "no encoding"}, ${bytes(raw.length)}`;
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(raw);
    if (p.encoding === "json") text = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    text ??= [...raw.slice(0, 1024)].map((b) => b.toString(16).padStart(2, "0")).join(" ");
  }
  return { note: text.length > maxShown ? `${note}, of which this is the beginning` : note, text: text.slice(0, maxShown) };
}

function resultOf(result) {
  const parts = [];
  if (result.error) {
    parts.push(h("section", {}, h("h2", {}, "Error ", h("span", { class: "small" }, [result.error.type, result.error.nonRetryable ? "not to be retried" : ""].filter(Boolean).join(", "))),
      h("pre", { class: "bad" }, result.error.message ?? ""), result.error.stack ? h("details", {}, h("summary", {}, "Stack"), h("pre", {}, result.error.stack)) : null));
  }
  for (const [name, p] of [["Value", result.value], ["Details", result.error?.details]]) {
    if (!p) continue;
    const { note, text } = payloadText(p);
    parts.push(h("section", {}, h("h2", {}, name, " ", h("span", { class: "small" }, note)), text ? h("pre", {}, text) : h("p", { class: "empty" }, "It is empty.")));
  }
  return parts;
}
