// What administrators did, newest first.

import { api } from "./api.js";
import { notice } from "./dialogs.js";
import { cell, el, empty, table } from "./dom.js";
import { loaded } from "./loading.js";
import { when } from "./words.js";

const PAGE = 100;

export function auditView(container) {
  const place = el("div");
  container.append(el("div", { class: "view-head" }, el("h1", {}, "Audit")), place);
  loaded(place, () => api.audit({ limit: PAGE }), ({ entries }) => {
    if (!entries.length) return el("div", { class: "panel" }, empty("Nothing was changed yet.", ""));
    const { whole, body } = table("Audit log", [{ label: "When" }, { label: "Who" }, { label: "What" }, { label: "On" }, { label: "Details" }]);
    const more = el("button", { type: "button", onclick: () => next() }, "Show older");
    let last = entries.at(-1).id;
    function append(page) {
      body.append(...page.map(row));
      more.hidden = page.length < PAGE;
    }
    async function next() {
      more.disabled = true;
      try {
        const page = (await api.audit({ limit: PAGE, before: last })).entries;
        last = page.at(-1)?.id ?? last;
        append(page);
      } catch (error) {
        notice(error.message);
      } finally {
        more.disabled = false;
      }
    }
    append(entries);
    return [el("div", { class: "panel" }, whole), el("p", { class: "page-more" }, more)];
  });
}

function row(entry) {
  return el(
    "tr",
    {},
    cell("When", when(entry.at), "nowrap"),
    cell("Who", entry.actor),
    cell("What", entry.action),
    el("td", { "data-label": "On", class: "mono" }, entry.subject),
    el("td", { "data-label": "Details", class: "muted" }, detailOf(entry.detail)),
  );
}

function detailOf(detail) {
  return Object.entries(detail)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name.replaceAll("_", " ")} ${told(name, value)}`)
    .join("; ");
}

function told(name, value) {
  if (Array.isArray(value)) return value.join(", ");
  return name.endsWith("_at") && typeof value === "number" ? when(value) : String(value);
}
