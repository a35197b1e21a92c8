// How things are written.

const whole = new Intl.NumberFormat("en");
const number = (n) => whole.format(Math.round(n));

// rate writes how many a second.
function rate(n) {
  if (!n) return "0/s";
  return n < 10 ? `${n.toFixed(n < 1 ? 2 : 1)}/s` : `${number(n)}/s`;
}

function bytes(n) {
  if (n < 1024) return `${number(n)} B`;
  let unit = -1;
  while (n >= 1024 && unit < 4) {
    n /= 1024;
    unit++;
  }
  return `${n.toFixed(n < 10 ? 1 : 0)} ${["KiB", "MiB", "GiB", "TiB", "PiB"][unit]}`;
}

// span writes how long something took, or takes, of so many milliseconds.
function span(ms) {
  if (ms < 0) return "0 s";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const s = ms / 1000;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 100) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

// clock is how far this machine's clock is ahead of the controller's, as far as is known.
const clock = { ahead: 0 };
const now = () => Date.now() - clock.ahead;

const twoDigits = (n) => String(n).padStart(2, "0");

// moment writes a time of the controller's clock, in the reader's time zone.
function moment(unixMs) {
  const ms = count(unixMs);
  if (!ms) return "";
  const d = new Date(ms);
  const time = `${twoDigits(d.getHours())}:${twoDigits(d.getMinutes())}:${twoDigits(d.getSeconds())}`;
  if (new Date(now()).toDateString() === d.toDateString()) return time;
  return `${d.getFullYear()}-${twoDigits(d.getMonth() + 1)}-${twoDigits(d.getDate())} ${time}`;
}

// ago writes how long ago that was.
function ago(unixMs) {
  return count(unixMs) ? `${span(now() - count(unixMs))} ago` : "";
}

// when is a time element: how long ago, and when exactly for who points at it.
function when(unixMs) {
  const ms = count(unixMs);
  return ms ? h("time", { datetime: new Date(ms).toISOString(), title: moment(ms) }, ago(ms)) : "";
}

// plain is the name of an enumeration's value: TASK_STATUS_RUNNING of TASK_STATUS is running.
const plain = (prefix, value) => (value ?? "").replace(prefix, "").toLowerCase().replaceAll("_", " ");

const statusOf = (t) => plain("TASK_STATUS_", t.status);
