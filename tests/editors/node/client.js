"use strict";
/**
 * Another editor's client: speaks with the real server through vscode-jsonrpc, and prints what it was told as JSON.
 *
 * Usage: node client.js PROGRAM FOLDER
 */

const { spawn } = require("node:child_process");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const rpc = require("vscode-jsonrpc/node");

const BROKEN = "ai model chat {\n    provider: ollama\n    model: llama3:8b\n    config: { temprature: 0.5 }\n}\n";

/** Everything of one kind that the server has told, and a promise for the first that is wanted. */
class Inbox {
  constructor() {
    this.all = [];
    this.waiting = [];
  }
  put(message) {
    this.all.push(message);
    this.waiting = this.waiting.filter(({ wanted, resolve }) => !wanted(message) || resolve(message));
  }
  first(wanted) {
    const found = this.all.find(wanted);
    return found ? Promise.resolve(found) : new Promise((resolve) => this.waiting.push({ wanted, resolve }));
  }
}

async function main([program, folder]) {
  const server = spawn(program, ["lsp"], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise((resolve) => server.on("exit", resolve));
  const connection = rpc.createMessageConnection(
    new rpc.StreamMessageReader(server.stdout),
    new rpc.StreamMessageWriter(server.stdin),
  );
  const diagnostics = new Inbox();
  const progress = new Inbox();
  connection.onNotification("textDocument/publishDiagnostics", (told) => diagnostics.put(told));
  connection.onNotification("$/progress", (told) => progress.put(told));
  connection.onRequest("window/workDoneProgress/create", () => null);
  connection.onRequest(() => null);
  connection.onError(([error]) => {
    throw error;
  });
  connection.listen();

  const uri = pathToFileURL(path.join(folder, "app.ai")).href;
  const textDocument = { uri };
  const initialized = await connection.sendRequest("initialize", {
    processId: process.pid,
    rootUri: pathToFileURL(folder).href,
    workspaceFolders: [{ uri: pathToFileURL(folder).href, name: "workspace" }],
    capabilities: { window: { workDoneProgress: true } },
  });
  await connection.sendNotification("initialized", {});

  await connection.sendNotification("textDocument/didOpen", {
    textDocument: { uri, languageId: "namel3ss", version: 1, text: BROKEN },
  });
  const broken = await diagnostics.first((told) => told.diagnostics.some(({ code }) => code === "N3201"));
  const [finding] = broken.diagnostics;
  const actions = await connection.sendRequest("textDocument/codeAction", {
    textDocument, range: finding.range, context: { diagnostics: [finding], only: ["quickfix"] },
  });
  const text = BROKEN.replace("temprature", "temperature").replace("llama3:8b", "mistral:7b");
  await connection.sendNotification("textDocument/didChange", {
    textDocument: { uri, version: 2 }, contentChanges: [{ text }],
  });

  const missing = await diagnostics.first(
    (told) => told.version === 2 && told.diagnostics.some(({ code }) => code === "model-not-installed"),
  );
  const completed = await connection.sendRequest("textDocument/completion", {
    textDocument, position: { line: 2, character: "    model: ".length },
  });
  const offers = await connection.sendRequest("textDocument/codeAction", {
    textDocument, range: missing.diagnostics[0].range, context: { diagnostics: missing.diagnostics },
  });
  const pull = offers.find(({ title }) => title.startsWith("Pull model"));
  const outcome = await connection.sendRequest("workspace/executeCommand", {
    command: pull.command.command, arguments: pull.command.arguments,
  });
  await progress.first(({ value }) => value.kind === "end");

  await connection.sendRequest("shutdown");
  await connection.sendNotification("exit");
  const code = await ended;
  connection.dispose();
  console.log(JSON.stringify({
    server: initialized.serverInfo.name,
    broken: broken.diagnostics,
    fix: actions[0],
    completed: (completed.items ?? completed).map(({ label, detail }) => ({ label, detail })),
    outcome,
    progress: progress.all.map(({ value }) => value.kind),
    code,
  }));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
