// What is in force, and where each value comes from. The file is changed in an editor, not here.

import { api } from "./api.js";
import { cell, el, place, table } from "./dom.js";
import { loaded } from "./loading.js";

export function configurationView(container) {
  const content = el("div");
  const file = el("span", { class: "mono muted" });
  container.append(el("div", { class: "view-head" }, el("h1", {}, "Configuration"), file), content);
  loaded(content, api.configuration, (told) => {
    file.textContent = told.file;
    const { whole, body } = table("Configuration", [{ label: "Setting" }, { label: "Value" }, { label: "From" }]);
    body.append(
      ...told.values.map((value) =>
        el(
          "tr",
          { class: value.origin === "default" ? "is-faded" : undefined },
          el("td", { "data-label": "Setting", class: "mono" }, value.name),
          el("td", { "data-label": "Value", class: "mono" }, value.value),
          cell("From", value.declared_at ? place(value.declared_at) : value.origin),
        ),
      ),
    );
    return el("div", { class: "panel" }, whole);
  });
}
