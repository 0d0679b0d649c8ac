// Requests to the administration interface, and what can go wrong with them.

let csrfToken = null;

/** The interface refused: `reason` is its word for why. */
export class RefusedError extends Error {
  constructor(status, error) {
    super([error.message, error.suggestion].filter(Boolean).join(" "));
    this.status = status;
    this.reason = error.reason;
  }
}

/** There was no answer at all. */
export class LostError extends Error {}

async function request(method, path, { body, query, signal, isBackground } = {}) {
  const headers = { accept: "application/json" };
  // A page that is merely open must not keep its session alive for ever.
  if (isBackground) headers["x-background"] = "1";
  if (method !== "GET") headers["content-type"] = "application/json";
  if (method !== "GET" && csrfToken) headers["x-csrf-token"] = csrfToken;
  const wanted = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== "");
  const address = wanted.length ? `${path}?${new URLSearchParams(wanted)}` : path;
  let answer;
  let text;
  try {
    answer = await fetch(address, {
      method,
      headers,
      body: method === "GET" ? undefined : JSON.stringify(body ?? {}),
      credentials: "same-origin",
      cache: "no-store",
      signal: signal ?? AbortSignal.timeout(15000),
    });
    text = await answer.text();
  } catch {
    throw new LostError("The gateway does not answer.");
  }
  let content;
  try {
    content = text ? JSON.parse(text) : {};
  } catch {
    throw new LostError("Something else than the gateway answered.");
  }
  if (!answer.ok) {
    const error = content.error ?? { reason: "unknown", message: `The gateway answered with ${answer.status}.` };
    if (answer.status === 401 && error.reason !== "login_failed") {
      csrfToken = null;
      window.dispatchEvent(new Event("logged-out"));
    }
    throw new RefusedError(answer.status, error);
  }
  return content;
}

const part = encodeURIComponent;

function entered(session) {
  csrfToken = session.csrf_token;
  return session;
}

export const api = {
  session: async () => entered(await request("GET", "/api/session")),
  logIn: async (credentials) => entered(await request("POST", "/api/session", { body: credentials })),
  logOut: () => request("DELETE", "/api/session"),
  overview: () => request("GET", "/api/overview", { signal: AbortSignal.timeout(8000), isBackground: true }),
  cancel: (id) => request("DELETE", `/api/queue/${part(id)}`),
  serverAction: (name, action) => request("POST", `/api/servers/${part(name)}/${action}`),
  addServer: (server) => request("POST", "/api/servers", { body: server }),
  removeServer: (name) => request("DELETE", `/api/servers/${part(name)}`),
  users: () => request("GET", "/api/users"),
  addUser: (user) => request("POST", "/api/users", { body: user }),
  changeUser: (name, change) => request("PATCH", `/api/users/${part(name)}`, { body: change }),
  keys: () => request("GET", "/api/keys"),
  addKey: (key) => request("POST", "/api/keys", { body: key }),
  rotateKey: (id) => request("POST", `/api/keys/${part(id)}/rotate`),
  revokeKey: (id) => request("DELETE", `/api/keys/${part(id)}`),
  classes: () => request("GET", "/api/classes"),
  whitelist: () => request("GET", "/api/whitelist"),
  addWhitelistEntry: (entry) => request("POST", "/api/whitelist", { body: entry }),
  removeWhitelistEntry: (entry) => request("DELETE", "/api/whitelist", { body: entry }),
  usage: (query) => request("GET", "/api/usage", { query }),
  audit: (query) => request("GET", "/api/audit", { query }),
  configuration: () => request("GET", "/api/configuration"),
};
