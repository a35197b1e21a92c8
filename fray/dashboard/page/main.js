// What the address shows, and when it is looked at again.

const byID = (id) => document.getElementById(id);

const menu = [
  ["", "Overview"], ["jobs", "Jobs"], ["tasks", "Tasks"], ["workers", "Workers"], ["actors", "Actors"], ["objects", "Objects"], ["limits", "Limits"], ["schedules", "Schedules"],
];

const kinds = { "": overview, jobs: jobsView, tasks: tasksView, workers: workersView, actors: actorsView, objects: objectsView, limits: limitsView, schedules: schedulesView };
const ones = { jobs: jobView, tasks: taskView, workers: workerView };

const cluster = { info: null }; // what the controller last said of itself

const pace = 2000; // between looks, at least
const maxPace = 30000;

// A View is one address: what is shown there, and what was last known of it.
class View {
  constructor(hash) {
    const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
    const [kind, ...rest] = path.split("/");
    this.hash = hash;
    this.kind = kind;
    this.query = new URLSearchParams(query);
    try {
      this.id = decodeURIComponent(rest.join("/"));
    } catch {
      this.id = rest.join("/");
    }
    this.show = this.id ? ones[kind] : kinds[kind];
    this.page = { token: "", before: [] };
    this.data = null;
    this.error = null;
  }

  // set changes a filter.
  set(name, value) {
    if (value) this.query.set(name, value);
    else this.query.delete(name);
    const query = this.query.toString();
    const path = this.hash.replace(/^#\/?/, "").split("?")[0];
    location.hash = `#/${path}${query ? `?${query}` : ""}`;
  }

  // turn shows the next or the last page.
  turn(by, token) {
    if (by > 0) {
      this.page.before.push(this.page.token);
      this.page.token = token;
    } else {
      this.page.token = this.page.before.pop();
    }
    this.data = null;
    redraw();
    scrollTo(0, 0);
    refresh();
  }
}

// A link may sign in who follows it. What it has is not left where others see it.
function signInByAddress() {
  const token = /^#token=(.+)$/.exec(location.hash);
  if (!token) return;
  credential.set(new URLSearchParams(location.hash.slice(1)).get("token"));
  history.replaceState(null, "", "#/");
}

signInByAddress();
let view = new View(location.hash);
let timer = 0, looking = null, missed = 0;

// refresh looks at once, and then again and again, the slower the longer an answer takes.
async function refresh() {
  clearTimeout(timer);
  looking?.abort();
  const look = looking = new AbortController();
  const of = view, began = performance.now();
  try {
    const [info, data] = await Promise.all([call("GetClusterInfo", {}, look.signal), of.show?.load(look.signal, of)]);
    if (look.signal.aborted || of !== view) return;
    cluster.info = info;
    sample(info);
    of.data = data;
    of.error = null;
    missed = 0;
  } catch (err) {
    if (look.signal.aborted || of !== view) return;
    if (!(err instanceof RPCError)) console.error(err);
    of.error = err;
    missed++;
  }
  redraw();
  if (document.hidden) return;
  const took = performance.now() - began;
  timer = setTimeout(refresh, Math.min(maxPace, Math.max(pace * 2 ** Math.min(missed, 5), 10 * took)));
}

function redraw() {
  const name = view.show?.title(view) ?? "Not found";
  document.title = `${name} · Fray`;
  patch(byID("menu"), menu.map(([path, text]) => h("a", { key: text, href: `#/${path}`, "aria-current": view.kind === path ? "page" : null }, text)));
  patch(byID("state"), state());
  patch(byID("name"), [view.id ? [link(view.kind, menu.find(([path]) => path === view.kind)?.[1] ?? ""), " / "] : "", view.id ? h("code", {}, view.id) : name].flat());
  patch(byID("main"), content().flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false && c !== ""));
}

// state is how fresh it is what the page shows.
function state() {
  if (view.error) return [badge("failed", view.error.code === "unauthenticated" ? "signed out" : "not up to date")];
  if (!cluster.info) return [h("span", { class: "small" }, "asking…")];
  return [badge("completed", "live"), credential.get() ? h("button", { type: "button", class: "plain", click: () => signIn("") }, "Sign out") : null].filter(Boolean);
}

function signIn(token) {
  credential.set(token);
  view.data = view.error = cluster.info = null;
  redraw();
  refresh();
}

function content() {
  const err = view.error;
  if (!view.show) return [h("p", { class: "empty" }, "There is no such page.")];
  if (err?.code === "unauthenticated") {
    return [h("form", { class: "sign-in", submit: (e) => { e.preventDefault(); signIn(new FormData(e.target).get("token").trim()); } },
      h("h2", {}, "Sign in"),
      h("p", {}, "This controller asks who calls. The token is kept until this tab is closed, and goes to this controller alone. Looking takes the role reader."),
      credential.get() ? h("p", { class: "alert" }, err.message) : null,
      h("label", {}, "token", h("input", { name: "token", type: "password", autocomplete: "off", required: true })),
      h("button", { type: "submit" }, "Sign in"))];
  }
  const notes = [];
  if (err) {
    notes.push(h("div", { class: "alert", role: "alert", key: "alert" }, h("b", {}, told(err)), " ",
      err.leader ? ["Look at ", h("a", { href: `${err.leader}/${view.hash}` }, err.leader), ", which leads."] : err.message));
  }
  if (view.data === null || !cluster.info) return notes.length ? notes : [h("p", { class: "empty", key: "asking" }, "Asking the controller…")];
  return [notes, view.show.draw(view.data, view)];
}

function told(err) {
  switch (err.code) {
    case "permission_denied": return "Your credential does not allow this.";
    case "not_found": return "The controller does not know it.";
    case "unavailable": return err.leader ? "This controller stands by." : "No answer; trying again.";
    default: return err instanceof RPCError ? "The controller refuses." : "This page has failed.";
  }
}

// tell shows for a while what came of something.
function tell(text, bad = false) {
  const box = byID("told");
  box.textContent = text;
  box.className = bad ? "bad" : "";
  box.hidden = false;
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => { box.hidden = true; }, bad ? 12000 : 6000);
}

addEventListener("hashchange", () => {
  signInByAddress();
  const next = new View(location.hash);
  if (next.kind === view.kind && next.id === view.id) next.data = view.data; // A filter: what is shown stays until there is an answer.
  else scrollTo(0, 0);
  view = next;
  missed = 0;
  redraw();
  refresh();
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
byID("find").addEventListener("submit", (e) => {
  e.preventDefault();
  const id = new FormData(e.target).get("id").trim();
  if (id) location.hash = `#/tasks/${encodeURIComponent(id)}`;
});
redraw();
refresh();
