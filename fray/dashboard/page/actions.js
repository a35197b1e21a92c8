// What the page can have done: each is asked for first, and says what came of it.

// confirmed asks whether to do something; it resolves to the form's values, or null.
function confirmed(title, text, action, fields = []) {
  const dialog = byID("dialog");
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "yes" ? Object.fromEntries(new FormData(dialog.firstChild)) : null);
    dialog.node ??= { attributes: {}, children: [] };
    patch(dialog, [h("form", { method: "dialog", key: title },
      h("h2", {}, title), h("p", {}, text),
      fields.map((f) => h("label", {}, f.label, h("input", { name: f.name, value: f.value, type: f.type ?? "text", min: f.min ?? null, max: f.max ?? null, required: true }))),
      h("div", { class: "actions" },
        h("button", { type: "submit", value: "yes", class: "danger" }, action), h("button", { type: "submit", value: "no", formnovalidate: true, autofocus: true }, "Leave it")))]);
    dialog.returnValue = "no";
    dialog.showModal();
  });
}

// act makes a call and tells what came of it.
async function act(procedure, request, said) {
  try {
    tell(said(await call(procedure, request)));
  } catch (err) {
    tell(err.code === "permission_denied" ? `Your credential does not allow this: ${err.message}` : err.message, true);
  }
  refresh();
}

const verdicts = {
  CANCEL_VERDICT_CANCELLED: "It is cancelled.",
  CANCEL_VERDICT_STOPPING: "Its worker is told to stop it.",
  CANCEL_VERDICT_ALREADY_TERMINAL: "It had ended before.",
  CANCEL_VERDICT_NOT_FOUND: "There is no such task any more.",
  CANCEL_VERDICT_REFUSED: "It belongs to another.",
};

async function cancelTask(id) {
  if (await confirmed("Cancel the task?", `${id}: if a worker runs it, it is told to stop.`, "Cancel it")) {
    await act("CancelTasks", { taskIds: [id] }, (r) => verdicts[r.verdicts?.[0]] ?? "It was asked for.");
  }
}

async function cancelJob(id, open) {
  if (await confirmed("Cancel the job?", `${id} has ${number(open)} open tasks. They are cancelled, and so are those of its descendants.`, "Cancel them")) {
    await act("CancelTasks", { jobId: id }, (r) => `${number(count(r.jobTaskCount))} tasks were cancelled, or are told to stop.`);
  }
}

const newRetryID = () => [...crypto.getRandomValues(new Uint8Array(8))].map((b) => b.toString(16).padStart(2, "0")).join("");

async function retryTask(id) {
  const retryId = newRetryID();
  if (!await confirmed("Retry the task?", `${id} is submitted anew, as a task of its own.`, "Retry it")) return;
  await act("RetryTasks", { taskIds: [id], retryId }, (r) => {
    const t = r.tasks?.[0];
    if (!t?.taskId) throw new RPCError("failed_precondition", t?.failure?.message ?? "It was refused.");
    location.hash = `#/tasks/${encodeURIComponent(t.taskId)}`;
    return "It was submitted anew.";
  });
}

const retryPage = 100; // as many as one call takes

// retryJob retries what has failed of a job, page by page. The retry's name makes a repetition harmless.
async function retryJob(id) {
  const retryId = newRetryID();
  if (!await confirmed("Retry what has failed?", `Each failed task of ${id} is submitted anew, as a task of its own; those that have been before are left out.`, "Retry them")) return;
  let created = 0, refused = 0, why = "";
  try {
    const failed = [], chains = new Set();
    for (let pageToken = ""; ;) {
      const page = await call("ListTasks", { jobId: id, newestFirst: true, pageSize: 1000, pageToken });
      for (const t of page.tasks ?? []) {
        const chain = t.taskId.replace(/\/retry-[A-Za-z0-9]{1,16}$/, "");
        if (!chains.has(chain) && statusOf(t) === "failed") failed.push(t.taskId);
        chains.add(chain); // The latest of a chain comes first, and stands for it.
      }
      pageToken = page.nextPageToken;
      if (!pageToken) break;
    }
    for (let i = 0; i < failed.length; i += retryPage) {
      const r = await call("RetryTasks", { taskIds: failed.slice(i, i + retryPage), retryId });
      for (const t of r.tasks ?? []) {
        if (t.taskId) created += t.created ? 1 : 0;
        else {
          refused++;
          why = t.failure?.message ?? why;
        }
      }
    }
    tell(`${number(created)} tasks were submitted anew.${refused ? ` ${number(refused)} were refused, such as: ${why}` : ""}`, refused > 0);
  } catch (err) {
    tell(`${number(created)} tasks were submitted anew before this: ${err.message}`, true);
  }
  refresh();
}

async function drainWorker(id) {
  const values = await confirmed("Drain the worker?", `${id} takes no new work, ends what it has within the grace, and leaves. What it cannot end it gives back.`, "Drain it",
    [{ name: "grace", label: "grace in seconds", value: "30", type: "number", min: 0, max: 86400 }]);
  if (values) await act("DrainWorker", { workerId: id, graceMs: String(Math.round(1000 * Number(values.grace))) }, () => "It was told to drain.");
}
