// Jobs: all of them, and one.

const jobRates = new Map(); // by job: {at, ended, perSecond}

// noteJob learns how fast a job goes on, from one look to the next.
function noteJob(j) {
  const ended = count(j.endedCount), at = performance.now();
  const last = jobRates.get(j.jobId);
  if (last && at - last.at < 1000) return;
  let perSecond = 0;
  if (last && ended >= last.ended) {
    const since = 1000 * (ended - last.ended) / (at - last.at);
    perSecond = last.perSecond ? 0.6 * last.perSecond + 0.4 * since : since;
  }
  jobRates.delete(j.jobId);
  jobRates.set(j.jobId, { at, ended, perSecond: count(j.openCount) ? perSecond : 0 });
  if (jobRates.size > 2000) jobRates.delete(jobRates.keys().next().value);
}

const jobRate = (j) => jobRates.get(j.jobId)?.perSecond ?? 0;

function jobProgress(j) {
  const ended = count(j.endedCount), failed = count(j.failedCount), leased = count(j.leasedCount), total = ended + count(j.openCount);
  return [
    bar([{ of: ended - failed, kind: "completed" }, { of: failed, kind: "failed" }, { of: leased, kind: "running" }], total,
      `${number(ended)} of ${number(total)} tasks have ended, ${number(failed)} failed, ${number(leased)} are at workers`),
    h("span", { class: "small" }, `${number(ended)} of ${number(total)}`),
  ];
}

// jobLeft is about how long it takes until nothing of a job is open.
function jobLeft(j) {
  const r = jobRate(j);
  return r > 0 ? `about ${span(1000 * count(j.openCount) / r)}` : "";
}

function jobTable(jobs, empty) {
  return table([
    { name: "job", wide: true, cell: (j) => [jobLink(j.jobId), j.failed ? badge("failed") : null, j.owner ? h("span", { class: "small" }, ` of ${j.owner}`) : null] },
    { name: "progress", cell: jobProgress },
    { name: "failed", number: true, cell: (j) => (count(j.failedCount) ? h("b", { class: "bad" }, number(count(j.failedCount))) : "0") },
    { name: "at workers", number: true, cell: (j) => number(count(j.leasedCount)) },
    { name: "rate", number: true, cell: (j) => (count(j.openCount) ? rate(jobRate(j)) : "") },
    { name: "left", cell: jobLeft },
    { name: "last submission", cell: (j) => when(j.lastSubmittedUnixMs) },
  ], rowsOf(jobs, "jobId"), empty);
}

const jobsView = {
  title: () => "Jobs",
  paged: true,
  async load(signal, view) {
    return call("ListJobs", { pageSize: 50, pageToken: view.page.token, openOnly: view.query.get("open") === "yes" }, signal);
  },
  draw(list, view) {
    list.jobs?.forEach(noteJob);
    return [
      filters(view, [{ name: "open", label: "only with open tasks", kind: "check" }]),
      jobTable(list.jobs, "There are no jobs."),
      pager(view, list),
    ];
  },
};

const jobView = {
  title: (view) => `Job ${view.id}`,
  paged: true,
  async load(signal, view) {
    const [job, tasks] = await Promise.all([call("GetJob", { jobId: view.id }, signal), loadTasks(signal, view, { jobId: view.id })]);
    return { job, tasks };
  },
  draw({ job, tasks }, view) {
    if (!job.known) return h("p", { class: "empty" }, "The controller knows no such job: it never had a task, or all of its tasks were forgotten.");
    const open = count(job.openCount), submitted = count(job.submittedCount);
    const j = { jobId: view.id, openCount: job.openCount, endedCount: String(Math.max(submitted - open, 0)), failedCount: job.failedCount };
    noteJob(j);
    return [
      h("section", { class: "progress" }, jobProgress(j), job.failed ? badge("failed", "failed as a whole") : null),
      facts([
        ["owner", job.owner], ["open", number(open)], ["failed", number(count(job.failedCount))], ["rate", open ? rate(jobRate(j)) : ""], ["left", jobLeft(j)],
        ["watchers", job.watcherCount ? number(job.watcherCount) : ""], ["parent", jobLink(job.parentJobId)], ["children", count(job.childCount) ? number(count(job.childCount)) : ""],
        ["weight", job.weight > 1 ? job.weight : ""],
        ["may fail", job.maxFailed !== undefined || job.maxFailedShare ? [number(job.maxFailed ?? 0), job.maxFailedShare ? ` or ${(100 * job.maxFailedShare).toFixed(1)} %` : "", " of its tasks"] : ""]]),
      h("div", { class: "actions" },
        open ? h("button", { type: "button", class: "danger", click: () => cancelJob(view.id, open) }, "Cancel the job") : null,
        count(job.failedCount) ? h("button", { type: "button", click: () => retryJob(view.id) }, "Retry what has failed") : null),
      taskFilters(view, false),
      taskTable(tasks.tasks, { job: false }),
      pager(view, tasks),
    ];
  },
};
