// Keys: who may use the gateway, as what, for what, from where, until when.

import { api } from "./api.js";
import { ask, checks, confirm, field, input, notice, select, showSecret } from "./dialogs.js";
import { cell, el, empty, table, tag, tags } from "./dom.js";
import { loaded } from "./loading.js";
import { ago, count, listOf, when } from "./words.js";

const STATES = { active: ["active", "is-good"], expired: ["expired", "is-warn"], revoked: ["revoked", ""], disabled: ["user disabled", "is-warn"] };
const DAY = 86400;
const LIFETIMES = [
  { value: "", label: "never" },
  { value: String(7 * DAY), label: "in 7 days" },
  { value: String(30 * DAY), label: "in 30 days" },
  { value: String(90 * DAY), label: "in 90 days" },
  { value: String(365 * DAY), label: "in a year" },
];

export function keysView(container) {
  const place = el("div");
  let showsAll = false;
  const toggle = el("input", {
    type: "checkbox",
    onchange: () => {
      showsAll = toggle.checked;
      again();
    },
  });
  container.append(
    el(
      "div",
      { class: "view-head" },
      el("h1", {}, "Keys"),
      el("span", { class: "spacer" }),
      el("span", { class: "checks" }, el("label", {}, toggle, "Show those that no longer count")),
      el("button", { type: "button", class: "primary", onclick: () => create() }, "New key"),
    ),
    place,
  );
  const again = loaded(place, api.keys, ({ keys }) => list(keys.filter((key) => showsAll || key.state === "active")));

  function list(keys) {
    if (!keys.length) return el("div", { class: "panel" }, empty("No key.", "Create one for each person and each program."));
    const { whole, body } = table("Keys", [
      { label: "Key" },
      { label: "User" },
      { label: "Class" },
      { label: "May" },
      { label: "Models" },
      { label: "Limits" },
      { label: "Last used" },
      {},
    ]);
    body.append(...keys.map(row));
    return el("div", { class: "panel" }, whole);
  }

  function row(key) {
    const [word, kind] = STATES[key.state];
    const notes = [
      key.networks ? `only from ${key.networks.join(", ")}` : "",
      key.expires_at ? `expires ${when(key.expires_at)}` : "",
    ].filter(Boolean);
    const buttons =
      key.state === "revoked"
        ? ""
        : [
            el("button", { type: "button", class: "small", onclick: () => rotate(key) }, "Rotate"),
            " ",
            el("button", { type: "button", class: "small danger", onclick: () => revoke(key) }, "Revoke"),
          ];
    return el(
      "tr",
      { class: key.state === "active" ? undefined : "is-faded" },
      el(
        "td",
        { "data-label": "Key" },
        el("div", {}, el("span", { class: "mono" }, key.id), " ", key.state === "active" ? "" : tag(word, kind), el("span", { class: "under" }, key.label)),
      ),
      cell("User", key.user),
      cell("Class", key.class),
      el("td", { "data-label": "May" }, tags([...key.scopes, ...flagsOf(key)])),
      cell("Models", key.models ? key.models.join(", ") : el("span", { class: "muted" }, "all")),
      el("td", { "data-label": "Limits" }, el("div", {}, limitsOf(key.limits), notes.map((note) => el("span", { class: "under" }, note)))),
      cell("Last used", ago(key.last_used_at), "nowrap"),
      el("td", { class: "actions" }, buttons),
    );
  }

  async function create() {
    let users;
    let classes;
    try {
      [{ users }, { classes }] = await Promise.all([api.users(), api.classes()]);
    } catch (error) {
      notice(error.message);
      return;
    }
    if (!users.length) {
      notice("Create a user first: a key belongs to somebody.");
      return;
    }
    const made = await ask({
      title: "New key",
      action: "Create key",
      fields: formOf(users, classes),
      send: (form) => api.addKey(read(form)),
    });
    if (made) {
      await showSecret({
        title: `The key of ${made.key.user}`,
        text: "This is the only time it is shown: the gateway stores no more than its hash.",
        secret: made.secret,
      });
      again();
    }
  }

  async function rotate(key) {
    const agreed = await confirm({
      title: "Rotate this key?",
      text: `A new key takes the place of ${key.id} with the same rights. The old one stops working at once.`,
      action: "Rotate",
    });
    if (!agreed) return;
    try {
      const made = await api.rotateKey(key.id);
      await showSecret({
        title: `The new key of ${made.key.user}`,
        text: "This is the only time it is shown: the gateway stores no more than its hash.",
        secret: made.secret,
      });
    } catch (error) {
      notice(error.message);
    }
    again();
  }

  async function revoke(key) {
    const agreed = await confirm({
      title: "Revoke this key?",
      text: `${key.id} of ${key.user} stops working within a second, and what it runs now is ended.`,
      action: "Revoke key",
    });
    if (!agreed) return;
    try {
      await api.revokeKey(key.id);
      notice(`${key.id} is revoked.`);
    } catch (error) {
      notice(error.message);
    }
    again();
  }
}

function flagsOf(key) {
  return [
    key.allows_fallback ? "fallback" : "",
    key.allows_cloud ? "cloud models" : "",
    key.in_address ? "in address" : "",
  ].filter(Boolean);
}

function limitsOf(limits) {
  const told = [
    limits.requests_per_minute ? `${count(limits.requests_per_minute)} requests/min` : "",
    limits.tokens_per_minute ? `${count(limits.tokens_per_minute)} tokens/min` : "",
    limits.tokens_per_day ? `${count(limits.tokens_per_day)} tokens/day` : "",
    limits.streams ? `${count(limits.streams)} streams` : "",
  ].filter(Boolean);
  return told.length ? told.join(", ") : el("span", { class: "muted" }, "none of its own");
}

function formOf(users, classes) {
  const options = (names) => names.map((name) => ({ value: name, label: name }));
  const amount = (name) => input(name, { type: "number", min: 1, placeholder: "no limit" });
  return [
    el(
      "div",
      { class: "pair" },
      field("User", select("user", options(users.map((user) => user.name)))),
      field("Class", select("class", classes.map((each) => ({ value: each.name, label: `${each.name} (priority ${each.priority})`, selected: each.is_default })))),
    ),
    field("What it is for", input("label", { maxlength: 200, placeholder: "laptop, editor, nightly job" })),
    checks("It may", "scopes", [
      { value: "use", label: "use models", checked: true },
      { value: "operator", label: "operate", checked: false },
      { value: "models:write", label: "change models", checked: false },
      { value: "admin", label: "administer", checked: false },
    ]),
    field("Models", input("models", { placeholder: "all, or names and patterns such as llama3:*" })),
    field("Expires", select("expires_in", LIFETIMES)),
    el(
      "details",
      {},
      el("summary", {}, "Limits, addresses, and more"),
      el(
        "div",
        { class: "pair" },
        field("Requests a minute", amount("requests_per_minute")),
        field("Streams at a time", amount("streams")),
        field("Tokens a minute", amount("tokens_per_minute")),
        field("Tokens a day", amount("tokens_per_day")),
      ),
      field("Only from", input("networks", { placeholder: "anywhere, or addresses such as 10.1.0.0/16" })),
      checks("It is also good for", "flags", [
        { value: "allows_fallback", label: "the fallback model" },
        { value: "allows_cloud", label: "cloud models" },
        { value: "in_address", label: "the address form /k/KEY/…" },
      ]),
    ),
  ];
}

function read(form) {
  const number = (name) => (form.get(name) ? Number(form.get(name)) : null);
  const flags = form.getAll("flags");
  return {
    user: form.get("user"),
    class: form.get("class") || null,
    label: form.get("label").trim(),
    scopes: form.getAll("scopes"),
    models: listOf(form.get("models")),
    networks: listOf(form.get("networks")),
    expires_in: number("expires_in"),
    limits: {
      requests_per_minute: number("requests_per_minute"),
      streams: number("streams"),
      tokens_per_minute: number("tokens_per_minute"),
      tokens_per_day: number("tokens_per_day"),
    },
    allows_fallback: flags.includes("allows_fallback"),
    allows_cloud: flags.includes("allows_cloud"),
    in_address: flags.includes("in_address"),
  };
}
