// Addresses from which a class may be used, for classes that need a known one.

import { api } from "./api.js";
import { ask, confirm, field, input, notice, select } from "./dialogs.js";
import { cell, el, empty, place, table, tag } from "./dom.js";
import { loaded } from "./loading.js";

export function whitelistView(container) {
  const content = el("div");
  const add = el("button", { type: "button", class: "primary", onclick: () => create() }, "Add address");
  container.append(el("div", { class: "view-head" }, el("h1", {}, "Whitelist"), el("span", { class: "spacer" }), add), content);
  const again = loaded(content, api.whitelist, ({ entries }) => {
    if (!entries.length) {
      return el(
        "div",
        { class: "panel" },
        empty("Every class is open to every address.", "Once a class has an address here, it may be used from its addresses alone."),
      );
    }
    const { whole, body } = table("Whitelist", [{ label: "Class" }, { label: "Address" }, { label: "Note" }, { label: "From" }, {}]);
    body.append(...entries.map(row));
    return el("div", { class: "panel" }, whole);
  });

  function row(entry) {
    return el(
      "tr",
      {},
      cell("Class", entry.class),
      el("td", { "data-label": "Address", class: "mono" }, entry.network),
      cell("Note", entry.note),
      entry.declared_at
        ? cell("From", place(entry.declared_at))
        : cell("From", "stored"),
      el(
        "td",
        { class: "actions" },
        entry.declared_at
          ? tag("in the file")
          : el("button", { type: "button", class: "small danger", onclick: () => remove(entry) }, "Remove"),
      ),
    );
  }

  async function create() {
    let classes;
    try {
      ({ classes } = await api.classes());
    } catch (error) {
      notice(error.message);
      return;
    }
    const made = await ask({
      title: "Add an address",
      action: "Add address",
      fields: [
        field(
          "Class",
          select("class", classes.map(({ name }) => ({ value: name, label: name }))),
          "The first address of a class closes the class to every other address.",
        ),
        field("Address or range", input("network", { required: true, maxlength: 64, placeholder: "10.1.0.0/16" })),
        field("Note", input("note", { maxlength: 200 })),
      ],
      send: (form) => api.addWhitelistEntry({ class: form.get("class"), network: form.get("network").trim(), note: form.get("note").trim() }),
    });
    if (made) notice(`${made.network} may use ${made.class}.`);
    again();
  }

  async function remove(entry) {
    const agreed = await confirm({
      title: `Remove ${entry.network}?`,
      text: `Keys of the class ${entry.class} may no longer be used from there. Without any address the class is open to all.`,
      action: "Remove address",
    });
    if (!agreed) return;
    try {
      await api.removeWhitelistEntry({ class: entry.class, network: entry.network });
      notice(`${entry.network} is removed.`);
    } catch (error) {
      notice(error.message);
    }
    again();
  }
}
