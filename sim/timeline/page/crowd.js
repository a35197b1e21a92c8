// Messages that are too many to be told apart: how many leave and reach each lane, in place of an arrow for each.

// From how many arrows on; and how many of the lost messages are drawn as such all the same.
const mostArrows = 4000, mostLost = 400;
const crowdHeight = 13;

let crowd = null; // what was drawn last, for the pointer; null: arrows were

// drawCrowd draws how many messages leave each lane, above its line, and reach it, below.
function drawCrowd(g, list) {
  const columns = Math.ceil(plotWidth() / columnWidth), lanes = new Map();
  const count = (lane, kind, t) => {
    const column = Math.floor(xOf(t) / columnWidth);
    if (!lane || column < 0 || column >= columns) return;
    if (!lanes.has(lane)) lanes.set(lane, { sent: new Uint32Array(columns), received: new Uint32Array(columns), lost: new Uint32Array(columns) });
    lanes.get(lane)[kind][column]++;
  };
  for (const { m } of list) {
    count(layout.lanes.get(m.from), m.style === look.lost ? "lost" : "sent", m.sent);
    if (m.fate === "delivered") count(layout.lanes.get(m.to), "received", m.over);
  }
  // A few columns are far above the others, such as that in which all workers register: they end at the top.
  const heights = [];
  for (const c of lanes.values()) {
    for (let i = 0; i < columns; i++) for (const n of [c.sent[i] + c.lost[i], c.received[i]]) if (n) heights.push(n);
  }
  heights.sort((a, b) => a - b);
  const most = Math.max(1, heights[Math.floor(heights.length * 0.97)] ?? 1);
  const tall = (n) => (n ? Math.max(1, Math.sqrt(Math.min(1, n / most)) * crowdHeight) : 0);
  for (const [lane, c] of lanes) {
    const y = lane.line - view.scroll;
    for (let i = 0; i < columns; i++) {
      const x = i * columnWidth, up = tall(c.sent[i] + c.lost[i]), lost = tall(c.lost[i]);
      g.fillStyle = colours.request;
      if (up) g.fillRect(x, y - up, columnWidth, up);
      g.fillStyle = colours.lost;
      if (lost) g.fillRect(x, y - lost, columnWidth, lost);
      g.fillStyle = colours.response;
      const down = tall(c.received[i]);
      if (down) g.fillRect(x, y, columnWidth, down);
    }
  }
  crowd = { type: "crowd", lanes, total: list.length };
}

// crowdAt returns what is said of the messages of a lane near a place of the plot, or null.
function crowdAt(x, y) {
  if (!crowd) return null;
  for (const [lane, c] of crowd.lanes) {
    if (Math.abs(lane.line - view.scroll - y) > crowdHeight) continue;
    const from = Math.max(0, Math.floor(x / columnWidth) - 1), until = Math.min(c.sent.length, from + 3), of = (list) => list.subarray(from, until).reduce((a, b) => a + b, 0);
    const sent = of(c.sent), received = of(c.received), lost = of(c.lost);
    if (sent + received + lost === 0) return null;
    return { type: "crowd", lane, sent, received, lost, from: timeAt(from * columnWidth), until: timeAt(until * columnWidth) };
  }
  return null;
}
