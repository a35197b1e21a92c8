// Where rows are: one for each fault, then a lane for each host.

const barHeight = 15, barGap = 3, mostBars = 16, faultHeight = 24;
const groupChart = 36; // pixels, of how busy a group is
const roleOrder = ["client", "controller", "worker", "auditor"];

const layout = { rows: [], lanes: new Map(), faultRows: new Map(), height: 0 };

// Attempts and states of each host.
const perHost = run.hosts.map(() => ({ attempts: [], states: [] }));
for (const a of attempts) perHost[a.host].attempts.push(a);
for (const s of states) perHost[s.host].states.push(s);

// Each attempt gets the first line of its lane that is free. Of more than a lane has the one that is free soonest.
for (const host of perHost) {
  const free = [];
  for (const a of host.attempts) {
    let line = free.findIndex((until) => until <= a.from);
    if (line < 0) line = free.length < mostBars ? free.length : free.indexOf(Math.min(...free));
    free[line] = Math.max(a.until, free[line] ?? 0);
    a.line = line;
  }
  host.lines = free.length;
  host.items = [...host.states.filter((s) => s.kind !== "over"), ...host.attempts].sort((a, b) => a.from - b.from);
}
const perFault = run.faults.map((_, i) => spans.filter((s) => s.fault === i + 1));

function arrange() {
  layout.rows = [];
  layout.lanes.clear();
  layout.faultRows.clear();
  let top = 0;
  run.faults.forEach((fault, i) => {
    const row = { type: "fault", fault: i + 1, key: "fault-" + i, top, height: faultHeight, items: perFault[i] };
    layout.rows.push(row);
    layout.faultRows.set(i + 1, row);
    top += row.height;
  });
  const order = run.hosts.map((_, i) => i).filter(hostShown);
  order.sort((a, b) => roleOrder.indexOf(run.hosts[a].role) - roleOrder.indexOf(run.hosts[b].role) || a - b);
  const groups = groupsOf(order);
  const members = new Set();
  const addGroup = (group) => {
    const open = opened.has(group.role), row = {
      type: "group", group, key: group.key, top, height: open ? 44 : 34 + groupChart + 8, line: top + 18, items: [], open, shaded: layout.lanes.size % 2 === 1,
    };
    row.items.push({ type: "group", group, key: group.key, from: group.from, until: group.until, row });
    layout.rows.push(row);
    if (!open) {
      for (const h of group.members) {
        members.add(h);
        layout.lanes.set(h, row);
      }
    }
    top += row.height;
  };
  for (const h of order) {
    const group = groups.get(run.hosts[h].role);
    if (group && group.members.length > 0) {
      groups.delete(group.role);
      addGroup(group);
    }
    if (members.has(h)) continue;
    const host = perHost[h];
    const height = host.lines ? 30 + host.lines * (barHeight + barGap) + 7 : 46;
    const row = { type: "lane", host: h, key: "host-" + h, top, height, line: top + 16, items: host.items, shaded: layout.lanes.size % 2 === 1 };
    layout.rows.push(row);
    layout.lanes.set(h, row);
    top += height;
  }
  // Lanes that leave room share it.
  const lanes = layout.rows.filter((r) => r.type !== "fault"), extra = Math.min(36, Math.floor((view.height - top) / lanes.length));
  if (extra > 0) {
    lanes.forEach((lane, i) => {
      lane.top += i * extra;
      lane.line += i * extra;
      lane.height += extra;
    });
    top += lanes.length * extra;
  }
  layout.height = top;
}

const barTop = (lane, a) => lane.top + 29 + a.line * (barHeight + barGap);

// Rows that can be seen.
const visibleRows = () => layout.rows.filter((r) => r.top + r.height > view.scroll && r.top < view.scroll + view.height);
