// Parts that several views have.

const link = (to, ...text) => h("a", { href: `#/${to}` }, ...text);
const taskLink = (id) => (id ? link(`tasks/${encodeURIComponent(id)}`, h("code", { title: id }, id)) : "");
const jobLink = (id) => (id ? link(`jobs/${encodeURIComponent(id)}`, h("code", { title: id }, id)) : "");
const workerLink = (id) => (id ? link(`workers/${encodeURIComponent(id)}`, h("code", {}, id)) : "");

const badge = (kind, text) => h("span", { class: `badge ${kind.replaceAll(" ", "-")}` }, text ?? kind);

// statusBadge shows where a task stands, and why it does not go on.
function statusBadge(t) {
  const status = statusOf(t);
  return [badge(status), t.cancelRequested && status !== "cancelled" ? badge("stopped", "stopping") : null];
}

// reason says what a task waits for, or failed of.
function reason(t) {
  switch (statusOf(t)) {
    case "pending":
      return [plain("PENDING_REASON_", t.pendingReason), t.pendingDetail ? `: ${t.pendingDetail}` : ""].join("");
    case "failed":
      return [plain("FAILURE_REASON_", t.failureReason), t.causeTaskId ? [" of ", taskLink(t.causeTaskId)] : ""];
    default:
      return "";
  }
}

// took is for how long a task's last attempt has run, or ran, with the time at its worker before it began.
function took(t) {
  const from = count(t.leasedUnixMs);
  if (!from || statusOf(t) === "pending") return "";
  return span((count(t.finishedUnixMs) || now()) - from);
}

// table is a table that narrow screens show as cards. A column is {name, cell, wide, number, key}: wide ones take what room there is.
function table(columns, rows, empty) {
  if (rows.length === 0) return h("p", { class: "empty" }, empty);
  return h("div", { class: "table" }, h("table", {},
    h("thead", {}, h("tr", {}, columns.map((c) => h("th", { scope: "col", class: c.number ? "number" : c.wide ? "wide" : false }, c.name)))),
    h("tbody", {}, rows.map((r) => h("tr", { key: r.key, class: r.class ?? false }, columns.map((c) => {
      const content = [c.cell(r.of)].flat(Infinity).filter((x) => x !== null && x !== undefined && x !== false && x !== "");
      return h("td", { "data-name": c.name, class: [c.number ? "number" : c.wide ? "wide" : "", content.length ? "" : "none"].join(" ").trim() || false }, content);
    }))))));
}

const rowsOf = (list, key, kind) => (list ?? []).map((of) => ({ of, key: of[key], class: kind?.(of) }));

// bar shows parts of a whole: [{of, kind, what}].
function bar(parts, total, label) {
  const all = Math.max(total, parts.reduce((sum, p) => sum + p.of, 0), 1);
  return h("div", { class: "bar", role: "img", "aria-label": label, title: label },
    parts.filter((p) => p.of > 0).map((p) => h("span", { key: p.kind, class: p.kind, style: `width:${(100 * p.of / all).toFixed(3)}%` })));
}

// sparkline draws the last values of a series, each as wide as the others.
function sparkline(values, most, label) {
  const width = 240, height = 44;
  const top = Math.max(...values, 1e-9);
  const step = width / (most - 1);
  const from = width - step * (values.length - 1);
  const points = values.map((v, i) => `${(from + i * step).toFixed(1)},${(height - 2 - (height - 6) * v / top).toFixed(1)}`);
  const line = points.length > 1 ? `M${points.join("L")}` : "";
  return h("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    line && h("path", { class: "area", d: `${line}L${width},${height}L${from.toFixed(1)},${height}Z` }),
    line && h("path", { class: "line", d: line }));
}

// tile is one figure.
const tile = (name, value, more, kind) => h("div", { key: name, class: `tile ${kind ?? ""}`.trim() },
  h("div", { class: "name" }, name), h("div", { class: "value" }, value), h("div", { class: "more" }, more ?? ""));

// facts is a list of what is known of one thing. Empty ones are left out.
function facts(list) {
  return h("dl", { class: "facts" }, list.filter(([, v]) => v !== "" && v !== null && v !== undefined && v !== false && v?.length !== 0)
    .map(([name, v]) => h("div", { key: name }, h("dt", {}, name), h("dd", {}, v))));
}

// pager leads to the other pages of a list.
function pager(view, list) {
  const p = view.page;
  if (p.before.length === 0 && !list.nextPageToken) return null;
  return h("nav", { class: "pager", "aria-label": "Pages" },
    h("button", { type: "button", disabled: p.before.length === 0, click: () => view.turn(-1) }, "‹ Newer"),
    h("span", {}, `page ${p.before.length + 1}`),
    h("button", { type: "button", disabled: !list.nextPageToken, click: () => view.turn(1, list.nextPageToken) }, "Older ›"));
}
