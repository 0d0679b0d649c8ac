// Two small charts: columns over days, bars over names. Numbers only; labels are text.

import { el, svg } from "./dom.js";
import { compact, count } from "./words.js";

const HEIGHT = 100;

/** Two-part columns. `days` are {label, first, second}; drawn in units that stretch to the width. */
export function columns(days, [firstName, secondName]) {
  const most = Math.max(1, ...days.map((day) => day.first + day.second));
  const step = 100 / Math.max(1, days.length);
  const drawn = svg("svg", {
    class: "columns",
    viewBox: `0 0 100 ${HEIGHT}`,
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": `${firstName} and ${secondName} for each day; at most ${count(most)}`,
  });
  for (const share of [0, 0.5, 1]) {
    const y = HEIGHT - share * HEIGHT;
    drawn.append(svg("line", { class: "grid", x1: 0, x2: 100, y1: y, y2: y, "vector-effect": "non-scaling-stroke" }));
  }
  days.forEach((day, index) => {
    const below = (day.first / most) * HEIGHT;
    const above = (day.second / most) * HEIGHT;
    const x = index * step + step * 0.14;
    const width = step * 0.72;
    drawn.append(
      svg(
        "g",
        { class: "column" },
        svg("rect", { class: "hit", x: index * step, y: 0, width: step, height: HEIGHT }),
        svg("rect", { class: "first", x, y: HEIGHT - below, width, height: below }),
        svg("rect", { class: "second", x, y: HEIGHT - below - above, width, height: above }),
        svg(
          "title",
          {},
          `${day.label}: ${count(day.first)} ${firstName}, ${count(day.second)} ${secondName}`,
        ),
      ),
    );
  });
  const middle = days[Math.floor((days.length - 1) / 2)];
  const axis = el(
    "div",
    { class: "axis", "aria-hidden": "true" },
    days.length ? [days[0], middle, days.at(-1)].map((day) => el("span", {}, day.label)) : null,
  );
  const legend = el(
    "span",
    { class: "legend" },
    el("span", {}, el("i"), firstName),
    el("span", {}, el("i", { class: "second" }), secondName),
    el("span", {}, `highest ${compact(most)}`),
  );
  return { drawn: el("div", {}, drawn, axis), legend };
}

/** Horizontal bars, longest first. `items` are {name, value}. */
export function bars(items, unit) {
  const most = Math.max(1, ...items.map((item) => item.value));
  return el(
    "div",
    { class: "bars" },
    items.map(({ name, value }) => [
      el("span", { class: "name", title: name }, name),
      svg(
        "svg",
        { viewBox: "0 0 100 1", preserveAspectRatio: "none", role: "img", "aria-label": `${count(value)} ${unit}` },
        svg("rect", { class: "first", x: 0, y: 0, height: 1, width: (value / most) * 100 }),
      ),
      el("span", { class: "value" }, compact(value)),
    ]),
  );
}
