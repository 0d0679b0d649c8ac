// Users: people and programs that keys belong to.

import { api } from "./api.js";
import { ask, checks, confirm, field, input, notice, select } from "./dialogs.js";
import { cell, el, empty, table, tag, tags } from "./dom.js";
import { loaded } from "./loading.js";
import { count, when } from "./words.js";

export function usersView(container) {
  const place = el("div");
  container.append(
    el(
      "div",
      { class: "view-head" },
      el("h1", {}, "Users"),
      el("span", { class: "spacer" }),
      el("button", { type: "button", class: "primary", onclick: () => create() }, "New user"),
    ),
    place,
  );
  const again = loaded(place, api.users, ({ users }) => {
    if (!users.length) return el("div", { class: "panel" }, empty("No user.", "Create one, then give them a key."));
    const { whole, body } = table("Users", [
      { label: "User" },
      { label: "Class" },
      { label: "May" },
      { label: "Password" },
      { label: "Keys", number: true },
      { label: "Since" },
      {},
    ]);
    body.append(...users.map(row));
    return el("div", { class: "panel" }, whole);
  });

  function row(user) {
    return el(
      "tr",
      { class: user.enabled ? undefined : "is-faded" },
      el("td", { "data-label": "User" }, el("span", {}, user.name, " ", user.enabled ? "" : tag("disabled", "is-warn"))),
      cell("Class", user.class),
      el("td", { "data-label": "May" }, tags(user.scopes)),
      cell("Password", user.has_password ? "set" : el("span", { class: "muted" }, "none")),
      cell("Keys", count(user.keys), "number"),
      cell("Since", when(user.created_at), "nowrap"),
      el(
        "td",
        { class: "actions" },
        el("button", { type: "button", class: "small", onclick: () => setPassword(user) }, "Set password"),
        " ",
        user.enabled
          ? el("button", { type: "button", class: "small danger", onclick: () => disable(user) }, "Disable")
          : el("button", { type: "button", class: "small", onclick: () => change(user, { enabled: true }, `${user.name} is enabled.`) }, "Enable"),
      ),
    );
  }

  async function change(user, what, done) {
    try {
      await api.changeUser(user.name, what);
      notice(done);
    } catch (error) {
      notice(error.message);
    }
    again();
  }

  async function disable(user) {
    const agreed = await confirm({
      title: `Disable ${user.name}?`,
      text: "Their keys and sessions stop working within a second, and what they run now is ended.",
      action: "Disable user",
    });
    if (agreed) await change(user, { enabled: false }, `${user.name} is disabled.`);
  }

  async function setPassword(user) {
    const done = await ask({
      title: `A password for ${user.name}`,
      action: "Set password",
      fields: [
        field(
          "New password",
          input("password", { type: "password", required: true, minlength: 10, maxlength: 1024, autocomplete: "new-password" }),
          "At least 10 characters. Several words in a row are long and easy to remember.",
        ),
      ],
      send: (form) => api.changeUser(user.name, { password: form.get("password") }),
    });
    if (done) notice(`The password of ${user.name} is set.`);
    again();
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
      title: "New user",
      action: "Create user",
      fields: [
        field("Name", input("name", { required: true, maxlength: 64, autocapitalize: "none" })),
        field(
          "Class",
          select("class", classes.map((each) => ({ value: each.name, label: `${each.name} (priority ${each.priority})`, selected: each.is_default }))),
          "Of their own logins. Each key has its class.",
        ),
        checks("They may, when logged in", "scopes", [
          { value: "use", label: "use models", checked: true },
          { value: "operator", label: "operate" },
          { value: "models:write", label: "change models" },
          { value: "admin", label: "administer" },
        ]),
        field(
          "Password",
          input("password", { type: "password", minlength: 10, maxlength: 1024, autocomplete: "new-password" }),
          "Only for people who log in; a key needs none.",
        ),
      ],
      send: (form) =>
        api.addUser({
          name: form.get("name").trim(),
          class: form.get("class"),
          scopes: form.getAll("scopes"),
          password: form.get("password") || null,
        }),
    });
    if (made) notice(`${made.name} is created.`);
    again();
  }
}
