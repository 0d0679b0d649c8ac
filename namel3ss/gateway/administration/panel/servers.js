// Servers: how they are, what they have loaded, and taking them out of use.

import { api } from "./api.js";
import { ask, confirm, field, input, notice } from "./dialogs.js";
import { cell, el, empty, place, reconcile, skeleton, table, tag, tags } from "./dom.js";
import { count, plural } from "./words.js";

const KINDS = { up: "is-good", down: "is-bad", suspected: "is-warn", resting: "is-warn", drained: "is-warn" };
const MOST_MARKS = 16;

/** Its state as a word, with the reason under it. */
export function stateOf(server) {
  const why = [server.reason, server.warning].filter(Boolean);
  return el("div", {}, tag(server.state, KINDS[server.state]), why.map((text) => el("span", { class: "under" }, text)));
}

/** Its requests as marks beside the slots that one model has; only a number where they are many. */
export function slotsOf(server) {
  const text = `${plural(server.in_flight, "request")}, ${plural(server.slots, "slot")} for each model`;
  const total = Math.max(server.slots, server.in_flight);
  if (total > MOST_MARKS) return el("span", { title: text }, count(server.in_flight));
  const marks = Array.from({ length: total }, (_, index) => el("i", { class: index < server.in_flight ? "is-busy" : "" }));
  return el("span", { class: "slots", role: "img", "aria-label": text, title: text }, marks);
}

/** What it has loaded, and what it is loading. */
export function modelsOf(server) {
  const loading = server.loading.filter((model) => !server.loaded.includes(model));
  if (!server.loaded.length && !loading.length) return el("span", { class: "muted" }, "none");
  return el("div", {}, tags(server.loaded), loading.length ? el("span", { class: "under" }, `loading ${loading.join(", ")}`) : "");
}

export function serversView(container, { refresh }) {
  const list = table("Servers", [
    { label: "Server" },
    { label: "State" },
    { label: "Requests" },
    { label: "Loaded models" },
    { label: "From" },
    {},
  ]);
  const nothing = empty("No server.", "Declare one in the file, or add one here.");
  const panel = el("div", { class: "panel", hidden: true }, list.whole, nothing);
  const loading = skeleton();
  container.append(
    el(
      "div",
      { class: "view-head" },
      el("h1", {}, "Servers"),
      el("span", { class: "spacer" }),
      el("button", { type: "button", class: "primary", onclick: () => addServer(refresh) }, "Add server"),
    ),
    loading,
    panel,
  );
  return {
    update({ servers }) {
      loading.remove();
      panel.hidden = false;
      list.whole.hidden = servers.length === 0;
      nothing.hidden = servers.length > 0;
      reconcile(list.body, servers, (server) => server.name, makeRow, (row, server) => updateRow(row, server, refresh));
    },
  };
}

function makeRow(server) {
  return el(
    "tr",
    {},
    el("td", { "data-label": "Server" }, el("div", {}, server.name, el("span", { class: "under mono" }, server.base_url))),
    cell("State"),
    cell("Requests"),
    cell("Models"),
    cell("From"),
    el("td", { class: "actions" }),
  );
}

function updateRow(row, server, refresh) {
  const [, state, slots, models, from, actions] = row.children;
  const { since, ...steady } = server;
  const shown = JSON.stringify(steady);
  if (row.dataset.shown === shown) return;
  row.dataset.shown = shown;
  state.replaceChildren(stateOf(server));
  slots.replaceChildren(slotsOf(server));
  models.replaceChildren(modelsOf(server));
  from.replaceChildren(
    server.declared_at ? place(server.declared_at) : "stored",
    el("span", { class: "under" }, server.version ? `Ollama ${server.version}` : ""),
  );
  if (actions.dataset.state === server.state) return;
  actions.dataset.state = server.state;
  actions.replaceChildren(...actionsOf(server, refresh));
}

function actionsOf(server, refresh) {
  const button = (label, action, done, kind = "") =>
    el(
      "button",
      { type: "button", class: `small ${kind}`, onclick: () => act(() => api.serverAction(server.name, action), done, refresh) },
      label,
    );
  const buttons = [];
  if (server.state === "disabled") {
    buttons.push(button("Enable", "enable", `${server.name} is in use again.`));
  } else if (server.state === "drained") {
    buttons.push(button("Use again", "undrain", `${server.name} is in use again.`));
  } else {
    buttons.push(button("Drain", "drain", `${server.name} is given nothing new.`));
  }
  if (!server.declared_at) {
    if (server.state !== "disabled") buttons.push(" ", button("Disable", "disable", `${server.name} is disabled.`, "danger"));
    buttons.push(" ", el("button", { type: "button", class: "small danger", onclick: () => remove(server, refresh) }, "Remove"));
  }
  return buttons;
}

async function act(send, done, refresh) {
  try {
    await send();
    notice(done);
  } catch (error) {
    notice(error.message);
  }
  refresh();
}

async function remove(server, refresh) {
  const agreed = await confirm({
    title: `Remove ${server.name}?`,
    text: "It gets nothing new, and is forgotten once what runs there has ended.",
    action: "Remove server",
  });
  if (agreed) await act(() => api.removeServer(server.name), `${server.name} is removed.`, refresh);
}

async function addServer(refresh) {
  const added = await ask({
    title: "Add a server",
    action: "Add server",
    fields: [
      field("Name", input("name", { required: true, maxlength: 64 })),
      field("Address", input("base_url", { required: true, type: "url", placeholder: "http://10.0.0.5:11434" })),
      el(
        "div",
        { class: "pair" },
        field("Slots", input("slots", { type: "number", min: 1, max: 1024, value: 1 }), "Its OLLAMA_NUM_PARALLEL."),
        field("Weight", input("weight", { type: "number", min: 0.1, max: 1000, step: "any", value: 1 }), "Twice the weight, twice the share."),
      ),
      el(
        "label",
        { class: "checks" },
        el("input", { type: "checkbox", name: "shared" }),
        "Others use it directly as well",
      ),
    ],
    send: (form) =>
      api.addServer({
        name: form.get("name").trim(),
        base_url: form.get("base_url").trim(),
        slots: Number(form.get("slots")),
        weight: Number(form.get("weight")),
        shared: form.has("shared"),
      }),
  });
  if (added) notice(`${added.name} is added.`);
  refresh();
}
