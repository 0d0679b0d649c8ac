// The frame: logging in and out, the sections, the one poll that feeds them, and what is shown when it fails.

import { api, LostError, RefusedError } from "./api.js";
import { auditView } from "./audit.js";
import { configurationView } from "./configuration.js";
import { notice } from "./dialogs.js";
import { el, setText } from "./dom.js";
import { keysView } from "./keys.js";
import { liveView } from "./live.js";
import { serversView } from "./servers.js";
import { usageView } from "./usage.js";
import { usersView } from "./users.js";
import { whitelistView } from "./whitelist.js";

const SECTIONS = [
  ["live", "Live", liveView],
  ["servers", "Servers", serversView],
  ["usage", "Usage", usageView],
  ["keys", "Keys", keysView],
  ["users", "Users", usersView],
  ["whitelist", "Whitelist", whitelistView],
  ["audit", "Audit", auditView],
  ["configuration", "Configuration", configurationView],
];

const POLL_MS = 1000;
const LONGEST_WAIT_MS = 15000;

const at = (id) => document.getElementById(id);
const state = { session: null, overview: null, section: null, view: null, failures: 0, timer: 0, round: 0 };

// -- logging in ----------------------------------------------------------------------------------------------

function showLogin(problem) {
  stopPolling();
  state.session = null;
  state.overview = null;
  state.view = null;
  state.section = null;
  at("app").hidden = true;
  at("view").replaceChildren();
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  at("login").hidden = false;
  tellLogin(problem);
  at("login").querySelector("form:not([hidden]) input").focus();
}

function tellLogin(problem) {
  at("login-error").hidden = !problem;
  at("login-error").textContent = problem ?? "";
}

function chooseWay() {
  const way = at("login-way").querySelector(":checked").value;
  at("login-with-key").hidden = way !== "key";
  at("login-with-password").hidden = way !== "password";
  tellLogin();
}

async function logIn(event) {
  event.preventDefault();
  const form = event.target;
  const given = Object.fromEntries(new FormData(form));
  const button = form.querySelector("button");
  button.disabled = true;
  tellLogin();
  try {
    enter(await api.logIn("key" in given ? { key: given.key.trim() } : { ...given, user: given.user.trim() }));
    form.reset();
  } catch (error) {
    tellLogin(error.message);
    form.querySelector('[type="password"]').value = "";
  } finally {
    button.disabled = false;
  }
}

function enter(session) {
  state.session = session;
  state.failures = 0;
  at("login").hidden = true;
  at("app").hidden = false;
  setText(at("who"), session.user);
  navigate();
  poll();
}

async function logOut() {
  try {
    await api.logOut();
  } catch (error) {
    if (!(error instanceof RefusedError)) {
      notice("Not logged out: the gateway does not answer.");
      return;
    }
  }
  showLogin();
}

// -- sections ------------------------------------------------------------------------------------------------

function navigate() {
  if (!state.session) return;
  const wanted = location.hash.slice(1);
  const [id, title, make] = SECTIONS.find(([name]) => name === wanted) ?? SECTIONS[0];
  if (id === state.section) return;
  state.section = id;
  for (const link of at("nav").children) {
    if (link.hash === `#${id}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  at("nav").querySelector("[aria-current]").scrollIntoView({ block: "nearest", inline: "nearest" });
  document.title = `${title} · ${state.overview?.gateway ?? "namel3ss gateway"}`;
  const container = el("div");
  at("view").replaceChildren(container);
  state.view = make(container, { refresh: poll });
  if (state.overview) state.view?.update?.(state.overview);
}

// -- the poll ------------------------------------------------------------------------------------------------

function stopPolling() {
  clearTimeout(state.timer);
  state.round += 1;
}

async function poll() {
  stopPolling();
  if (!state.session || document.hidden) return;
  const round = state.round;
  try {
    const overview = await api.overview();
    if (round !== state.round) return;
    state.failures = 0;
    state.overview = overview;
    tellConnection();
    setText(at("gateway-name"), overview.gateway);
    state.view?.update?.(overview);
  } catch (error) {
    if (round !== state.round || !state.session) return;
    if (!(error instanceof LostError) && !(error instanceof RefusedError)) throw error;
    state.failures += 1;
    tellConnection(error.message);
  }
  const wait = state.failures ? Math.min(LONGEST_WAIT_MS, POLL_MS * 2 ** (state.failures - 1)) : POLL_MS;
  state.timer = setTimeout(poll, wait);
}

function tellConnection(problem) {
  const lost = Boolean(problem);
  at("connection").className = lost ? "connection is-bad" : "connection is-good";
  setText(at("connection").lastElementChild, lost ? "Connection lost" : "Live");
  let banner = at("lost");
  if (!lost) {
    banner?.remove();
    return;
  }
  if (!banner) {
    const text = el("span");
    banner = el(
      "div",
      { class: "banner is-bad", id: "lost", role: "alert" },
      text,
      el("button", { type: "button", class: "small", onclick: poll }, "Try now"),
    );
    at("view").prepend(banner);
  }
  setText(banner.firstElementChild, `${problem} What is shown is from before; trying again by itself.`);
}

// -- the page ------------------------------------------------------------------------------------------------

async function begin() {
  at("nav").replaceChildren(...SECTIONS.map(([id, title]) => el("a", { href: `#${id}` }, title)));
  at("login-with-key").addEventListener("submit", logIn);
  at("login-with-password").addEventListener("submit", logIn);
  at("login-way").addEventListener("change", chooseWay);
  at("logout").addEventListener("click", logOut);
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    at("view").focus();
  });
  window.addEventListener("hashchange", () => {
    navigate();
    at("view").focus({ preventScroll: true });
    scrollTo(0, 0);
  });
  window.addEventListener("logged-out", () => {
    if (state.session) showLogin("You are no longer logged in.");
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) poll();
  });
  chooseWay();
  try {
    enter(await api.session());
  } catch (error) {
    showLogin(error instanceof LostError ? error.message : undefined);
  }
}

begin();
