// What is drawn on canvas: messages, and the places where faults acted, of which there can be thousands.

const canvas = document.getElementById("messages");
let colours = {};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["request", "response", "other", "lost", "late", "life", "grid", "lane", "back", "text", "fault", "violation", "muted", "panel", "accent", "succeeded", "heal", "judged"]) {
    colours[name] = style.getPropertyValue("--" + name).trim();
  }
}

// prepare sizes a canvas to what it covers, in the pixels of the screen, and clears it.
function prepare(c, width, height) {
  const ratio = devicePixelRatio || 1;
  if (c.width !== Math.round(width * ratio) || c.height !== Math.round(height * ratio)) {
    c.width = Math.round(width * ratio);
    c.height = Math.round(height * ratio);
    c.style.width = width + "px";
    c.style.height = height + "px";
  }
  const g = c.getContext("2d");
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, width, height);
  return g;
}

// place returns where a message is drawn, and where it is cut; null if one of its hosts is not shown.
function place(m) {
  const a = layout.lanes.get(m.from), b = layout.lanes.get(m.to);
  if (!a || !b) return null;
  const x1 = xOf(m.sent), y1 = a.line - view.scroll, y2 = b.line - view.scroll;
  if (m.fate === "delivered") return { x1, y1, x2: xOf(m.over), y2, cut: false };
  // It ends near whom it left, or near whom it did not reach.
  const least = Math.min(Math.abs(y2 - y1) * 0.45, 20), toward = Math.sign(y2 - y1);
  const travels = m.over > m.sent;
  return { x1, y1, x2: xOf(m.over), y2: travels ? y2 - toward * Math.min(least, 13) : y1 + toward * least, cut: m.fate !== "under way", open: m.fate === "under way" };
}

// What the last drawing has, for the pointer.
let drawn = [], drawnTicks = [];

function drawMessages(ticks) {
  const width = plotWidth(), height = view.height;
  canvas.style.left = gutter + "px";
  const g = prepare(canvas, width, height), rows = visibleRows();
  g.lineWidth = 1;
  g.fillStyle = colours.lane;
  for (const row of rows) if (row.shaded) g.fillRect(0, row.top - view.scroll, width, row.height);
  g.fillStyle = colours.grid;
  for (const x of ticks) g.fillRect(Math.round(x), 0, 1, height);
  drawLifelines(g, rows);
  for (const row of rows) if (row.type === "group" && !row.open) drawGroup(g, row);
  drawFirings(g);

  drawn = [];
  const seen = new Set(), paths = [0, 1, 2, 3, 4].map(() => []);
  for (const m of messages) {
    if (m.sent > view.until) break;
    if (m.over < view.from || !messageShown(m)) continue;
    const p = place(m);
    if (!p || Math.max(p.y1, p.y2) < 0 || Math.min(p.y1, p.y2) > height) continue;
    drawn.push({ m, p });
    const key = `${Math.round(p.x1)} ${Math.round(p.x2)} ${m.from} ${m.to} ${m.style} ${p.cut}`;
    if (seen.has(key)) continue;
    seen.add(key);
    paths[m.style].push(p);
  }
  crowd = null;
  canvas.dataset.messages = drawn.length;
  if (seen.size > mostArrows) {
    drawCrowd(g, drawn);
    // Those that went wrong still show as themselves, unless they are a crowd, too.
    drawn = drawn.filter(({ m }) => m.style === look.lost);
    if (drawn.length > mostLost) drawn = [];
    paths.forEach((list, style) => { if (style !== look.lost || drawn.length === 0) list.length = 0; });
  }
  canvas.dataset.crowd = crowd ? "yes" : "no";
  const dense = seen.size > 300;
  // Those that went wrong last, above the others.
  for (const style of [look.request, look.response, look.other, look.late, look.lost]) {
    const colour = Object.keys(look).find((name) => look[name] === style);
    g.strokeStyle = g.fillStyle = colours[colour];
    g.globalAlpha = style === look.lost ? 1 : dense ? 0.5 : 0.85;
    g.lineWidth = style === look.lost ? 1.4 : 1;
    g.setLineDash(style === look.late ? [4, 3] : []);
    g.beginPath();
    for (const p of paths[style]) {
      g.moveTo(p.x1, p.y1);
      g.lineTo(p.x2, p.y2);
    }
    g.stroke();
    g.setLineDash([]);
    if (!dense) g.globalAlpha = 1;
    for (const p of paths[style]) drawEnd(g, p, dense);
  }
  g.globalAlpha = 1;
  canvas.dataset.arrows = drawn.length;
  canvas.dataset.cut = drawn.filter(({ p }) => p.cut).length;
  if (drawn.length <= 90 && !crowd) nameMessages(g);
  if (view.message) emphasise(g, view.message);
}

// drawEnd draws the head of an arrow, or the cross where it is cut.
function drawEnd(g, p, dense) {
  if (p.cut) {
    g.lineWidth = 1.8;
    g.beginPath();
    g.moveTo(p.x2 - 3.5, p.y2 - 3.5);
    g.lineTo(p.x2 + 3.5, p.y2 + 3.5);
    g.moveTo(p.x2 - 3.5, p.y2 + 3.5);
    g.lineTo(p.x2 + 3.5, p.y2 - 3.5);
    g.stroke();
    return;
  }
  if (dense || p.open) return;
  const angle = Math.atan2(p.y2 - p.y1, p.x2 - p.x1);
  g.beginPath();
  g.moveTo(p.x2, p.y2);
  g.lineTo(p.x2 - 8 * Math.cos(angle - 0.35), p.y2 - 8 * Math.sin(angle - 0.35));
  g.lineTo(p.x2 - 8 * Math.cos(angle + 0.35), p.y2 - 8 * Math.sin(angle + 0.35));
  g.fill();
}

// drawLifelines draws when the software of each host is there.
function drawLifelines(g, rows) {
  g.strokeStyle = colours.life;
  g.lineWidth = 1.5;
  for (const row of rows) {
    if (row.type === "fault" || row.open) continue;
    const y = row.line - view.scroll;
    let from = 0;
    g.beginPath();
    const stretch = (until) => {
      if (until > from && until > view.from && from < view.until) {
        g.moveTo(Math.max(xOf(from), -5), y);
        g.lineTo(Math.min(xOf(until), plotWidth() + 5), y);
      }
    };
    for (const s of row.type === "group" ? [] : perHost[row.host].states) {
      if (s.kind === "paused") continue;
      stretch(s.from);
      from = s.until;
    }
    stretch(end);
    g.stroke();
  }
}

// drawFirings draws a tick for each time that a fault acted, and a diamond where no cut message shows it.
function drawFirings(g) {
  drawnTicks = [];
  const seen = new Set();
  g.fillStyle = colours.fault;
  for (const f of firings) {
    if (f.at > view.until) break;
    if (f.at < view.from || (view.procedure >= 0 && f.procedure !== view.procedure)) continue;
    const x = xOf(f.at), row = layout.faultRows.get(f.fault), lane = layout.lanes.get(f.host);
    const key = `${Math.round(x)} ${f.fault} ${f.host}`;
    if (row) drawnTicks.push({ f, x, y: row.top + row.height / 2 - view.scroll, reach: row.height / 2 });
    if (lane && !losing(f.fault)) drawnTicks.push({ f, x, y: lane.line - view.scroll, reach: 6 });
    if (seen.has(key)) continue;
    seen.add(key);
    if (row) g.fillRect(x - 0.6, row.top - view.scroll + 1, 1.2, row.height - 2);
    if (!lane || losing(f.fault)) continue;
    const y = lane.line - view.scroll;
    g.beginPath();
    g.moveTo(x, y - 5);
    g.lineTo(x + 4.5, y);
    g.lineTo(x, y + 5);
    g.lineTo(x - 4.5, y);
    g.fill();
  }
}

// nameMessages writes the procedures to arrows, where there is room.
function nameMessages(g) {
  g.font = "10px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif";
  g.textBaseline = "middle";
  const boxes = [];
  for (const lane of layout.rows) {
    if (lane.type === "fault") continue;
    boxes.push([-1e6, lane.top - view.scroll - 2, 2e6, 3]);
    if (lane.type === "group" || perHost[lane.host].lines) boxes.push([-1e6, lane.top + 27 - view.scroll, 2e6, lane.height - 30]);
  }
  const first = drawn.filter(({ m }) => m.style === look.lost), others = drawn.filter(({ m }) => m.style !== look.lost);
  for (const { m, p } of [...first, ...others]) {
    const text = run.procedures[m.procedure] + (m.kind === "request" ? "" : m.kind === "response" ? " ↩" : ` ${m.kind}`);
    const width = g.measureText(text).width;
    for (const way of [0.5, 0.3, 0.7]) {
      const x = p.x1 + (p.x2 - p.x1) * way + 5, y = p.y1 + (p.y2 - p.y1) * way;
      if (x < 0 || x + width > plotWidth() || boxes.some(([bx, by, bw, bh]) => x < bx + bw && bx < x + width && y - 6 < by + bh && by < y + 6)) continue;
      boxes.push([x - 2, y - 6, width + 4, 12]);
      g.lineWidth = 3;
      g.strokeStyle = colours.back;
      g.strokeText(text, x, y);
      g.fillStyle = colours[m.style === look.lost ? "lost" : "text"];
      g.fillText(text, x, y);
      break;
    }
  }
}

function emphasise(g, m) {
  const p = place(m);
  if (!p) return;
  g.strokeStyle = g.fillStyle = colours.text;
  g.lineWidth = 2.5;
  g.beginPath();
  g.moveTo(p.x1, p.y1);
  g.lineTo(p.x2, p.y2);
  g.stroke();
  drawEnd(g, p, false);
}

// at returns what is drawn on the canvas near a place of the plot, or null.
function at(x, y) {
  let best = null, least = 6;
  for (const t of drawnTicks) {
    const d = Math.abs(t.x - x);
    if (Math.abs(t.y - y) <= t.reach && d < least) {
      best = t.f;
      least = d;
    }
  }
  if (best) return best;
  best = crowdAt(x, y);
  if (best) return best;
  for (const { m, p } of drawn) {
    const dx = p.x2 - p.x1, dy = p.y2 - p.y1, length = dx * dx + dy * dy;
    const way = length ? Math.min(1, Math.max(0, ((x - p.x1) * dx + (y - p.y1) * dy) / length)) : 0;
    const d = Math.hypot(p.x1 + way * dx - x, p.y1 + way * dy - y) + (m.style === look.lost ? -0.5 : 0);
    if (d < least) {
      best = m;
      least = d;
    }
  }
  return best;
}
