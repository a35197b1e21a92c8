// What is said of the thing that the pointer or the keyboard is at.

const detail = document.getElementById("detail");
const hostName = (h) => (h >= 0 ? run.hosts[h].name : "");
const faultName = (f) => run.faults[f - 1].id;

function taskList(tasks) {
  if (tasks.length === 0) return "";
  const names = tasks.slice(0, 6).map((t) => run.tasks[t]).join(", ");
  return tasks.length > 6 ? `${names} and ${tasks.length - 6} more` : names;
}

const fates = {
  "delivered": "arrived", "under way": "had not arrived when the run ended", "late": "came too late: nobody waited for it any longer",
  "partition": "lost: the network between them was cut", "loss": "lost by the network", "crashed": "lost: its sender had crashed",
  "down": "lost: the host was without power", "refused": "refused: nothing listened there", "reset": "lost: the connection was reset",
  "error": "answered with an error in its place", "fault": "lost by a fault",
};

// describe returns a title, pairs of names and values, of which empty ones are left out, and a hint.
const describe = {
  attempt(a) {
    const took = a.ended >= 0 ? ` (took ${duration(a.ended - a.started)})` : "";
    return [`${run.tasks[a.task]}, attempt ${a.number}`, [
      ["outcome", a.outcome + (a.detail ? ": " + a.detail : "")],
      ["function", run.functions[a.function]],
      ["worker", hostName(a.host)],
      ["granted", a.granted >= 0 ? exact(a.granted) + (a.started > a.granted ? ` (waited ${duration(a.started - a.granted)} for a slot)` : "") : ""],
      ["started", exact(a.started)],
      ["ended", a.ended >= 0 ? exact(a.ended) + took : "runs on when the run ends"],
      ["told to stop", a.stopped >= 0 ? exact(a.stopped) : ""],
      ["reported", a.reported >= 0 ? exact(a.reported) : ""],
      ["answer", a.verdict ?? ""],
      ["lease token", a.token],
    ], view.task ? "Click to show all tasks" : "Click to follow this task"];
  },
  message(m) {
    const arrived = m.fate === "delivered" || (m.fate === "fault" && m.kind !== "request");
    return [`${run.procedures[m.procedure]}, ${m.kind}${m.code && m.code !== "200" ? " (" + m.code + ")" : ""}`, [
      ["from", hostName(m.from)],
      ["to", hostName(m.to)],
      ["sent", exact(m.sent)],
      [arrived ? "arrived" : m.fate === "under way" ? "" : "lost", arrived || m.over > m.sent && m.fate !== "under way" ?
        `${exact(m.over)} (after ${duration(m.over - m.sent)})` : m.fate === "under way" ? "" : "at once"],
      ["fate", fates[m.fate] ?? m.fate],
      ["fault", m.fault ? faultName(m.fault) : ""],
      ["size", m.size ? m.size + " B" : ""],
      ["call", m.call ? "#" + m.call : "never left"],
      ["tasks", taskList(m.tasks)],
    ]];
  },
  span(s) {
    const f = run.faults[s.fault - 1];
    return [`fault ${f.id}`, [
      ["does", f.rule], ["hosts", s.hosts.map(hostName).join(", ")], ["from", exact(s.from)],
      ["until", `${exact(s.until)} (${duration(s.until - s.from)})`], ["acted", f.fired === 1 ? "once in the run" : `${f.fired} times in the run`],
    ], "Click to zoom in"];
  },
  state(s) {
    const what = { down: "is down", paused: "is paused" };
    return [`${hostName(s.host)} ${what[s.kind]}`, [
      ["why", s.why], ["from", exact(s.from)], ["until", s.open ? "the end" : `${exact(s.until)} (${duration(s.until - s.from)})`],
    ], "Click to zoom in"];
  },
  firing(f) {
    const fault = run.faults[f.fault - 1];
    return [`fault ${fault.id} acts`, [
      ["does", fault.kind], ["at", exact(f.at)], ["call", run.procedures[f.procedure]], ["from", hostName(f.from)], ["to", hostName(f.to)],
    ]];
  },
  cluster(c) {
    const counts = new Map();
    for (const a of c.attempts) counts.set(a.outcome, (counts.get(a.outcome) ?? 0) + 1);
    return [`${c.attempts.length} attempts`, [
      ["outcomes", [...counts].map(([outcome, n]) => `${n} ${outcome}`).join(", ")], ["from", exact(c.from)], ["until", exact(c.until)],
    ], "Click to zoom in"];
  },
  group(g) {
    const { members, role, noted, attempts } = g.group;
    return [`${members.length} ${role}s`, [
      ["attempts", attempts ? String(attempts) : ""], ["busy", (g.row ?? g).most ? `${Math.round((g.row ?? g).most * 10) / 10} attempts at a time at most, in what is shown` : ""],
      ["", noted ? `something happened to ${noted} of them, and to those that have lanes of their own` : "nothing happened to them that stands out"],
    ], opened.has(role) ? "Click, or press Enter or g, to have them share a lane" : "Click, or press Enter or g, to give each a lane"];
  },
  crowd(c) {
    const name = c.lane.type === "group" ? c.lane.group.name : hostName(c.lane.host);
    return [`messages of ${name}`, [
      ["sent", String(c.sent + c.lost)], ["of them lost", c.lost ? String(c.lost) : ""], ["received", String(c.received)], ["from", exact(c.from)], ["until", exact(c.until)],
    ], "Zoom in to see each"];
  },
  mark(m) {
    return [m.title, [["at", exact(m.at)], ["", m.text]]];
  },
  fault(r) {
    const f = run.faults[r.fault - 1];
    return [`fault ${f.id}`, [["does", f.rule], ["acted", f.fired === 1 ? "once" : `${f.fired} times`]]];
  },
  lane(r) {
    const host = run.hosts[r.host], here = perHost[r.host];
    return [host.name, [["role", host.role], ["attempts", here.attempts.length ? String(here.attempts.length) : ""]],
      view.host ? "Click to show all hosts" : "Click to show this host alone"];
  },
};

// inWords is the same as one line, for those who hear it.
function inWords(thing) {
  const [title, pairs] = describe[thing.type](thing);
  return title + ". " + pairs.filter(([, value]) => value).map(([name, value]) => (name ? name + " " : "") + value).join(", ");
}

// tell shows the detail of a thing near a place in the window.
function tell(thing, x, y) {
  const [title, pairs, hint] = describe[thing.type](thing);
  const heading = document.createElement("h2");
  heading.textContent = title;
  const list = document.createElement("dl");
  for (const [name, value] of pairs) {
    if (!value) continue;
    const term = document.createElement("dt"), text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    list.append(term, text);
  }
  detail.replaceChildren(heading, list);
  if (hint) {
    const more = document.createElement("div");
    more.className = "hint";
    more.textContent = hint;
    detail.append(more);
  }
  detail.hidden = false;
  const { width, height } = detail.getBoundingClientRect();
  const left = x + 14 + width < innerWidth ? x + 14 : Math.max(4, Math.min(x - width - 14, innerWidth - width - 4));
  const top = y + 16 + height < innerHeight ? y + 16 : Math.max(4, y - height - 12);
  detail.style.left = left + "px";
  detail.style.top = top + "px";
}

const hush = () => { detail.hidden = true; };
