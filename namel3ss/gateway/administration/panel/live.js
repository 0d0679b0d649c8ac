// What happens now: figures, servers at a glance, and the queue with its running requests.

import { api } from "./api.js";
import { confirm, notice } from "./dialogs.js";
import { cell, el, empty, reconcile, setText, skeleton, table, tag } from "./dom.js";
import { modelsOf, slotsOf, stateOf } from "./servers.js";
import { count, duration, plural } from "./words.js";

const FIGURES = [
  ["waiting", "Waiting", ({ queue }) => [count(queue.queue_length)]],
  ["running", "Running", ({ queue }) => [count(queue.running), queue.draining ? `${queue.draining} draining` : ""]],
  ["longest", "Longest wait", ({ queue }) => [duration(longestWait(queue.entries)) || "–"]],
  [
    "up",
    "Servers up",
    ({ servers }) => [String(servers.filter((server) => server.state === "up").length), `of ${servers.length}`],
  ],
];

function longestWait(entries) {
  const waiting = entries.filter((entry) => entry.stage === "waiting").map((entry) => entry.wait_time);
  return waiting.length ? Math.max(...waiting) : null;
}

export function liveView(container, { refresh }) {
  const figures = el("dl", { class: "figures" });
  const servers = table("Servers", [
    { label: "Server" },
    { label: "State" },
    { label: "Requests" },
    { label: "Loaded models" },
  ]);
  const requests = table("Requests", [
    { label: "Place" },
    { label: "User" },
    { label: "Model" },
    { label: "Class" },
    { label: "Waited", number: true },
    { label: "Running", number: true },
    { label: "Where" },
    {},
  ]);
  const more = el("p", { class: "hint" });
  const nothing = empty("Nothing is waiting, nothing is running.", "Requests appear here as soon as they come.");
  const noServers = empty("No server.", "Declare one in the file, or add one under Servers.");
  container.append(
    el("div", { class: "view-head" }, el("h1", {}, "Live")),
    figures,
    el("section", {}, el("div", { class: "section-head" }, el("h2", {}, "Servers")), el("div", { class: "panel" }, servers.whole, noServers)),
    el("section", {}, el("div", { class: "section-head" }, el("h2", {}, "Requests"), more), el("div", { class: "panel" }, requests.whole, nothing)),
  );
  const loading = skeleton();
  const sections = [...container.children].slice(1);
  sections.forEach((section) => (section.hidden = true));
  container.append(loading);

  async function cancel(entry) {
    const agreed = await confirm({
      title: "Cancel this request?",
      text: `${entry.user} asked ${entry.model}. The caller gets an error.`,
      action: "Cancel request",
    });
    if (!agreed) return;
    try {
      await api.cancel(entry.id);
      notice("The request is cancelled.");
    } catch (error) {
      notice(error.message);
    }
    refresh();
  }

  return {
    update(overview) {
      loading.remove();
      sections.forEach((section) => (section.hidden = false));
      reconcile(figures, FIGURES, ([id]) => id, makeFigure, (child, [, , read]) => {
        const [value, beside] = read(overview);
        setText(child.lastElementChild.firstElementChild, value);
        setText(child.lastElementChild.lastElementChild, beside ?? "");
      });
      servers.whole.hidden = overview.servers.length === 0;
      noServers.hidden = overview.servers.length > 0;
      reconcile(servers.body, overview.servers, (server) => server.name, makeServer, updateServer);
      const { entries, left_out: leftOut } = overview.queue;
      requests.whole.hidden = entries.length === 0;
      nothing.hidden = entries.length > 0;
      setText(more, leftOut ? `The first ${count(entries.length)}; ${plural(leftOut, "more request")}.` : "");
      reconcile(requests.body, entries, (entry) => entry.id, (entry) => makeRequest(entry, cancel), updateRequest);
    },
  };
}

function makeFigure([, label]) {
  return el("div", { class: "figure" }, el("dt", {}, label), el("dd", {}, el("span"), " ", el("small")));
}

function makeServer(server) {
  return el("tr", {}, cell("Server", server.name), cell("State"), cell("Requests"), cell("Models"));
}

function updateServer(row, server) {
  const [, state, busy, models] = row.children;
  const { since, ...steady } = server;
  const shown = JSON.stringify(steady);
  if (row.dataset.shown === shown) return;
  row.dataset.shown = shown;
  state.replaceChildren(stateOf(server));
  busy.replaceChildren(slotsOf(server));
  models.replaceChildren(modelsOf(server));
}

function makeRequest(entry, cancel) {
  const button = el(
    "button",
    { type: "button", class: "small danger", "aria-label": `Cancel the request of ${entry.user}`, onclick: () => cancel(entry) },
    "Cancel",
  );
  return el(
    "tr",
    {},
    cell("Place"),
    el("td", { "data-label": "User" }, entry.user, el("span", { class: "under" }, entry.client)),
    cell("Model", entry.model),
    el("td", { "data-label": "Class" }, entry.source, el("span", { class: "under" }, `priority ${entry.priority}`)),
    cell("Waited", "", "number nowrap"),
    cell("Running", "", "number nowrap"),
    cell("Where"),
    el("td", { class: "actions" }, button),
  );
}

function updateRequest(row, entry) {
  const [place, , , , waited, running, where] = row.children;
  const stage = placeOf(entry);
  if (row.dataset.stage !== stage) {
    row.dataset.stage = stage;
    place.replaceChildren(entry.stage === "waiting" ? stage : tag(stage, "is-good"));
  }
  setText(waited, duration(entry.wait_time));
  setText(running, entry.run_time === null ? "" : duration(entry.run_time));
  const eta = entry.eta === null ? "" : `in about ${duration(entry.eta)}`;
  setText(where, entry.stage === "waiting" ? eta : [entry.server, entry.pieces ? plural(entry.pieces, "piece") : ""].filter(Boolean).join(" · "));
}

function placeOf(entry) {
  if (entry.stage === "sent") return "started";
  if (entry.stage !== "waiting") return entry.stage;
  if (entry.position === null) return "waiting";
  return entry.position === 0 ? "next" : `${count(entry.position)} before it`;
}
