"use strict";

// The run, as Go has collected it; see data.go for what is in it.
const run = JSON.parse(document.getElementById("data").textContent);
for (const list of ["hosts", "procedures", "functions", "tasks", "faults", "spans", "states", "carried", "attempts", "gaps"]) {
  run[list] ??= [];
}

// The end of everything: of what goes on, and of the axis.
const end = Math.max(run.virtual, 1);

// How a message looks.
const look = { request: 0, response: 1, other: 2, lost: 3, late: 4 };

// Messages, by the time at which they were sent. took is below 0 for none; fate is a text.
const messages = (() => {
  const m = run.messages, list = [];
  let sent = 0;
  for (let i = 0; i < (m.sent ?? []).length; i++) {
    sent += m.sent[i];
    const fate = m.fates[m.fate[i]], kind = m.kinds[m.kind[i]];
    let style = kind === "request" ? look.request : kind === "response" ? look.response : look.other;
    if (fate === "late" || fate === "under way") style = look.late;
    else if (fate !== "delivered") style = look.lost;
    list.push({
      type: "message", index: i, sent, over: fate === "under way" ? end : sent + m.took[i], kind, from: m.from[i], to: m.to[i],
      procedure: m.procedure[i], fate, fault: m.fault[i], code: m.codes[m.code[i]], size: m.size[i], call: m.call[i],
      tasks: m.carries[i] ? run.carried[m.carries[i] - 1] : [], style,
    });
  }
  return list;
})();

const firings = (run.firings.at ?? []).map((at, i) => ({
  type: "firing", index: i, at, fault: run.firings.fault[i], host: run.firings.host[i], from: run.firings.from[i],
  to: run.firings.to[i], procedure: run.firings.procedure[i],
}));

const attempts = run.attempts.map((a, index) => ({
  ...a, type: "attempt", index, key: "attempt-" + index, from: a.started, until: a.ended < 0 ? end : a.ended,
}));

// What ends by itself ends at the latest when everything is put right, or when the work is over.
const lastFault = Math.min(run.healed >= 0 && run.heals_faults ? run.healed : end, run.judged >= 0 ? run.judged : end);
const spans = run.spans.filter((s) => s.from < lastFault).map((s, index) => ({
  ...s, hosts: s.hosts ?? [], type: "span", index, key: "span-" + index, until: s.until > 0 ? Math.min(s.until, lastFault) : lastFault,
}));

const states = run.states.map((s, index) => ({
  ...s, type: "state", index, key: "state-" + index, until: s.until < 0 ? end : s.until, open: s.until < 0,
}));

// Whether the violation is about the task of an attempt.
const isSubject = (a) => run.violation !== null && run.violation.task === a.task;

// Whether a fault keeps messages from arriving: then the message shows it.
const losing = (fault) => ["drop", "partition"].includes(run.faults[fault - 1].kind);
