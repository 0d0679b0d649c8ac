// Usage: tokens and requests by day, by user and by model.

import { api } from "./api.js";
import { bars, columns } from "./charts.js";
import { cell, el, empty, table } from "./dom.js";
import { loaded } from "./loading.js";
import { compact, count } from "./words.js";

const SPANS = [
  ["7", "7 days"],
  ["30", "30 days"],
  ["90", "90 days"],
];
const MOST_BARS = 8;

const dayOf = (milliseconds) => new Date(milliseconds).toISOString().slice(0, 10);

export function usageView(container) {
  const place = el("div");
  let days = 30;
  const spans = el(
    "div",
    {
      class: "choice",
      role: "radiogroup",
      "aria-label": "How far back",
      onchange: (event) => {
        days = Number(event.target.value);
        again();
      },
    },
    SPANS.map(([value, label]) =>
      el("label", {}, el("input", { type: "radio", name: "span", value, checked: value === "30" }), el("span", {}, label)),
    ),
  );
  container.append(
    el("div", { class: "view-head" }, el("h1", {}, "Usage"), el("span", { class: "spacer" }), spans),
    place,
  );
  const load = () => {
    const now = Date.now();
    return api.usage({ first: dayOf(now - (days - 1) * 86400000), last: dayOf(now) });
  };
  const again = loaded(place, load, show);
}

function show({ first, last, rows }) {
  if (!rows.length) {
    return el("div", { class: "panel" }, empty("Nothing was used.", "Tokens appear here a second after a request has ended."));
  }
  const perDay = new Map(daysBetween(first, last).map((day) => [day, { label: shortDay(day), first: 0, second: 0 }]));
  for (const row of rows) {
    const day = perDay.get(row.day);
    if (!day) continue;
    day.first += row.prompt_tokens;
    day.second += row.completion_tokens;
  }
  const chart = columns([...perDay.values()], ["prompt tokens", "completion tokens"]);
  return [
    figures(rows),
    el(
      "div",
      { class: "charts" },
      el("div", { class: "chart is-wide" }, el("div", { class: "chart-head" }, el("h2", {}, "Tokens by day"), chart.legend), chart.drawn),
      el("div", { class: "chart" }, el("div", { class: "chart-head" }, el("h2", {}, "Tokens by user")), bars(sums(rows, "user"), "tokens")),
      el("div", { class: "chart" }, el("div", { class: "chart-head" }, el("h2", {}, "Tokens by model")), bars(sums(rows, "model"), "tokens")),
    ),
    el("section", {}, el("div", { class: "section-head" }, el("h2", {}, "By user and model")), detail(rows)),
  ];
}

function figures(rows) {
  const total = (read) => rows.reduce((sum, row) => sum + read(row), 0);
  const shown = [
    ["Requests", compact(total((row) => row.requests)), `${compact(total((row) => row.failed))} failed`],
    ["Prompt tokens", compact(total((row) => row.prompt_tokens)), ""],
    ["Completion tokens", compact(total((row) => row.completion_tokens)), ""],
    ["Users", String(new Set(rows.map((row) => row.user)).size), ""],
    ["Models", String(new Set(rows.map((row) => row.model)).size), ""],
  ];
  return el(
    "dl",
    { class: "figures" },
    shown.map(([label, value, beside]) =>
      el("div", { class: "figure" }, el("dt", {}, label), el("dd", {}, value, " ", el("small", {}, beside))),
    ),
  );
}

function sums(rows, by) {
  const found = new Map();
  for (const row of rows) found.set(row[by], (found.get(row[by]) ?? 0) + row.prompt_tokens + row.completion_tokens);
  const sorted = [...found].map(([name, value]) => ({ name, value })).sort((one, other) => other.value - one.value);
  const rest = sorted.slice(MOST_BARS).reduce((sum, item) => sum + item.value, 0);
  return rest ? [...sorted.slice(0, MOST_BARS), { name: `${sorted.length - MOST_BARS} others`, value: rest }] : sorted;
}

function detail(rows) {
  const found = new Map();
  for (const row of rows) {
    const name = JSON.stringify([row.user, row.model]);
    const sum = found.get(name) ?? { user: row.user, model: row.model, requests: 0, failed: 0, prompt: 0, completion: 0, estimated: 0 };
    sum.requests += row.requests;
    sum.failed += row.failed;
    sum.prompt += row.prompt_tokens;
    sum.completion += row.completion_tokens;
    sum.estimated += row.estimated;
    found.set(name, sum);
  }
  const sorted = [...found.values()].sort((one, other) => other.prompt + other.completion - one.prompt - one.completion);
  const { whole, body } = table("Usage by user and model", [
    { label: "User" },
    { label: "Model" },
    { label: "Requests", number: true },
    { label: "Failed", number: true },
    { label: "Estimated", number: true },
    { label: "Prompt tokens", number: true },
    { label: "Completion tokens", number: true },
  ]);
  body.append(
    ...sorted.map((sum) =>
      el(
        "tr",
        {},
        cell("User", sum.user),
        cell("Model", sum.model),
        cell("Requests", count(sum.requests), "number"),
        cell("Failed", count(sum.failed), "number"),
        cell("Estimated", count(sum.estimated), "number"),
        cell("Prompt", count(sum.prompt), "number"),
        cell("Completion", count(sum.completion), "number"),
      ),
    ),
  );
  return el("div", { class: "panel" }, whole);
}

function daysBetween(first, last) {
  const days = [];
  const end = Date.parse(`${last}T00:00:00Z`);
  for (let day = Date.parse(`${first}T00:00:00Z`); day <= end; day += 86400000) days.push(dayOf(day));
  return days;
}

function shortDay(day) {
  return new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" }).format(new Date(`${day}T00:00:00Z`));
}
