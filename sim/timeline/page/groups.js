// Hosts of a role that are many share a lane, but for those that something happened to.

// From how many hosts of a role on they share one, and how many of them have lanes of their own all the same.
const groupFrom = 32, mostAlone = 24;

// Roles whose hosts all have lanes of their own because the user wants it.
const opened = new Set();

// How much happened to each host: 3 to what the violation is about, 2 to one that was away or had an attempt that did not succeed, 1 to one
// that a fault struck or that lost messages.
const remarkable = (() => {
  const score = new Uint8Array(run.hosts.length), at = (h, n) => { if (h >= 0) score[h] = Math.max(score[h], n); };
  for (const m of messages) {
    if (m.style !== look.lost) continue;
    at(m.from, 1);
    at(m.to, 1);
  }
  for (const f of firings) at(f.host, 1);
  for (const s of spans) for (const h of s.hosts) at(h, 1);
  for (const s of states) if (s.kind !== "over") at(s.host, 2);
  for (const a of attempts) {
    if (isSubject(a)) at(a.host, 3);
    else if (a.outcome !== "succeeded" || a.verdict === "stale") at(a.host, 2);
  }
  for (const p of run.violation?.proof ?? []) at(p.host, 3);
  return score;
})();

// groupsOf returns for each role of these hosts those that share a lane, if any do.
function groupsOf(hosts) {
  const perRole = new Map(), groups = new Map();
  for (const h of hosts) {
    const role = run.hosts[h].role;
    if (!perRole.has(role)) perRole.set(role, []);
    perRole.get(role).push(h);
  }
  for (const [role, all] of perRole) {
    if (all.length < groupFrom) continue;
    const alone = new Set(all.filter((h) => remarkable[h]).sort((a, b) => remarkable[b] - remarkable[a] || a - b).slice(0, mostAlone));
    const members = all.filter((h) => !alone.has(h));
    groups.set(role, {
      role, members, key: "group-" + role, from: -room(), until: end + room(), name: `${members.length} ${role}s`,
      noted: members.filter((h) => remarkable[h]).length, attempts: members.reduce((n, h) => n + perHost[h].attempts.length, 0),
    });
  }
  return groups;
}

// toggleGroup gives the hosts of a role lanes of their own, or one.
function toggleGroup(role) {
  if (!opened.delete(role)) opened.add(role);
  refresh();
}

const columnWidth = 2; // pixels

// busyColumns returns how many attempts of these hosts run in each column of the plot, on average over its time.
function busyColumns(members) {
  const columns = Math.ceil(plotWidth() / columnWidth), whole = new Float64Array(columns + 2), part = new Float64Array(columns + 2);
  for (const h of members) {
    for (const a of perHost[h].attempts) {
      if (a.until < view.from || a.from > view.until) continue;
      const x1 = Math.max(0, xOf(a.from) / columnWidth), x2 = Math.min(columns, xOf(a.until) / columnWidth), first = Math.floor(x1), last = Math.floor(x2);
      if (first === last) {
        part[first] += x2 - x1;
        continue;
      }
      part[first] += first + 1 - x1;
      part[last] += x2 - last;
      whole[first + 1]++;
      whole[last]--;
    }
  }
  let running = 0;
  for (let i = 0; i < columns; i++) {
    running += whole[i];
    part[i] += running;
  }
  return part.subarray(0, columns);
}

// drawGroup draws how busy the hosts of a group are.
function drawGroup(g, row) {
  const busy = busyColumns(row.group.members), most = busy.reduce((a, b) => Math.max(a, b), 0), bottom = row.top + row.height - view.scroll - 5, tall = groupChart;
  row.most = most;
  if (most === 0) return;
  g.fillStyle = colours.succeeded;
  g.globalAlpha = 0.75;
  for (let i = 0; i < busy.length; i++) {
    if (!busy[i]) continue;
    const height = Math.max(1, (busy[i] / most) * tall);
    g.fillRect(i * columnWidth, bottom - height, columnWidth, height);
  }
  g.globalAlpha = 1;
  g.fillStyle = colours.muted;
  g.font = "10px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif";
  g.textBaseline = "middle";
  g.strokeStyle = colours.back;
  g.lineWidth = 3;
  const text = `${most < 10 ? Number(most.toFixed(1)) : Math.round(most)} busy at most`;
  g.strokeText(text, 5, bottom - tall + 4);
  g.fillText(text, 5, bottom - tall + 4);
}
