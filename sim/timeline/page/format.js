// Times and durations as text. All are in nanoseconds.

const units = [["s", 1e9], ["ms", 1e6], ["µs", 1e3], ["ns", 1]];

// A length of time, to three digits or so.
function duration(d) {
  if (d >= 60e9) {
    const whole = Math.round(d / 1e9), h = Math.floor(whole / 3600), m = Math.floor(whole / 60) % 60, s = whole % 60;
    return (h ? h + "h " : "") + (m || h ? m + "m " : "") + s + "s";
  }
  for (const [name, size] of units) {
    const n = d / size;
    if (n >= 1) return Number(n.toFixed(n >= 100 ? 0 : n >= 10 ? 1 : 2)) + " " + name;
  }
  return "0 s";
}

// A point in time with that many decimals of a second.
function moment(t, decimals) {
  const seconds = Math.round((t / 1e9) * 10 ** decimals) / 10 ** decimals;
  if (seconds < 60) return seconds.toFixed(decimals) + " s";
  const h = Math.floor(seconds / 3600), m = Math.floor(seconds / 60) % 60, rest = (seconds % 60).toFixed(decimals);
  return (h ? h + "h " : "") + m + "m " + (rest.indexOf(".") < 2 && rest.length !== 2 ? "0" : "") + rest + "s";
}

// A point in time to the microsecond.
const exact = (t) => moment(t, 6);

// What the names of tasks begin with is what they have in common: of one that does not fit the last part is kept, or nothing.
function clipName(text, length) {
  const last = text.slice(Math.max(text.lastIndexOf("."), text.lastIndexOf("-")) + 1);
  return [text, "…" + last, last].find((t) => t.length <= length) ?? "";
}

const clip = (text, length) => (text.length <= length ? text : length < 2 ? "" : text.slice(0, length - 1) + "…");
