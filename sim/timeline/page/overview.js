// The strip above the axis: the whole run, and what of it is shown.

const overview = document.getElementById("overview");

const overviewX = (t) => gutter + ((t + room()) / (end + 2 * room())) * plotWidth();
const overviewTime = (x) => ((x - gutter) / plotWidth()) * (end + 2 * room()) - room();

// How many messages were sent, and of them lost, by columns of two pixels.
let density = { columns: 0, sent: [], lost: [] };

function countColumns(columns) {
  if (density.columns === columns) return;
  const sent = new Array(columns + 1).fill(0), lost = new Array(columns + 1).fill(0);
  for (const m of messages) {
    const column = Math.min(columns, Math.floor((overviewX(m.sent) - gutter) / 2));
    sent[column]++;
    if (m.style === look.lost) lost[column]++;
  }
  density = { columns, sent, lost };
}

function drawOverview() {
  const height = 45, g = prepare(overview, view.width, height), columns = Math.ceil(plotWidth() / 2);
  g.fillStyle = colours.panel;
  g.fillRect(0, 0, view.width, height);
  countColumns(columns);
  const { sent, lost } = density;
  const most = Math.max(1, ...sent), tall = (n) => (n ? Math.max(1.5, (Math.sqrt(n / most)) * 26) : 0);
  for (let i = 0; i <= columns; i++) {
    g.fillStyle = colours.request;
    g.fillRect(gutter + i * 2, 41 - tall(sent[i]), 2, tall(sent[i]));
    g.fillStyle = colours.lost;
    g.fillRect(gutter + i * 2, 41 - tall(lost[i]), 2, tall(lost[i]));
  }
  g.fillStyle = colours.fault;
  for (const s of spans) g.fillRect(overviewX(s.from), 4, Math.max(2, overviewX(s.until) - overviewX(s.from)), 4);
  for (const m of marks) {
    g.fillStyle = colours[m.kind];
    g.fillRect(overviewX(m.at) - (m.kind === "violation" ? 1 : 0.5), 0, m.kind === "violation" ? 2.5 : 1, height);
  }
  const left = overviewX(view.from), right = Math.max(overviewX(view.until), left + 3);
  g.fillStyle = colours.back;
  g.globalAlpha = 0.62;
  g.fillRect(gutter, 0, left - gutter, height);
  g.fillRect(right, 0, view.width - right, height);
  g.globalAlpha = 1;
  g.strokeStyle = colours.accent;
  g.lineWidth = 1.5;
  g.strokeRect(left, 1, right - left, height - 2);
  g.fillStyle = colours.muted;
  g.font = "11px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif";
  g.textBaseline = "middle";
  g.fillText("whole run", 10, 23);
}

// Dragging draws a new window; dragging within the window moves it.
overview.addEventListener("pointerdown", (e) => {
  overview.setPointerCapture(e.pointerId);
  const start = overviewTime(e.offsetX), inside = start > view.from && start < view.until && view.until - view.from < end * 0.98;
  const { from, until } = view;
  let moved = false;
  const move = (e) => {
    const now = overviewTime(e.offsetX);
    moved ||= Math.abs(overviewX(now) - overviewX(start)) > 3;
    if (!moved) return;
    if (inside) show(from + now - start, until + now - start);
    else show(Math.min(start, now), Math.max(start, now));
  };
  const up = () => {
    overview.removeEventListener("pointermove", move);
    overview.removeEventListener("pointerup", up);
    if (!moved && !inside) show(start - (until - from) / 2, start + (until - from) / 2);
  };
  overview.addEventListener("pointermove", move);
  overview.addEventListener("pointerup", up);
});
overview.addEventListener("dblclick", () => show(-room(), end + room()));
