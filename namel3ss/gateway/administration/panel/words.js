// Numbers, times and lists as people read them.

const DAY = 86400;
const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const moment = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

export const count = (value) => whole.format(value);
export const compact = (value) => short.format(value);

/** 0.4 s, 12 s, 3 min 05 s, 2 h 10 min, 3 d */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const rest = Math.round(seconds);
  if (rest < 60) return `${rest} s`;
  if (rest < 3600) return `${Math.floor(rest / 60)} min ${String(rest % 60).padStart(2, "0")} s`;
  if (rest < DAY) return `${Math.floor(rest / 3600)} h ${String(Math.floor((rest % 3600) / 60)).padStart(2, "0")} min`;
  return `${Math.floor(rest / DAY)} d`;
}

export function when(seconds) {
  return seconds === null || seconds === undefined ? "" : moment.format(new Date(seconds * 1000));
}

export function ago(seconds, now = Date.now() / 1000) {
  if (seconds === null || seconds === undefined) return "never";
  const past = Math.max(0, now - seconds);
  if (past < 60) return "just now";
  if (past < 3600) return `${Math.floor(past / 60)} min ago`;
  if (past < DAY) return `${Math.floor(past / 3600)} h ago`;
  return `${Math.floor(past / DAY)} d ago`;
}

export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** "a, b" from a field; null for an empty one. */
export function listOf(text) {
  const items = text.split(/[\s,]+/).filter(Boolean);
  return items.length ? items : null;
}

/** "team.ai:5:8" of a whole path: what is left out is in the tooltip. */
export const shortPlace = (place) => place.split(/[\\/]/).at(-1);
