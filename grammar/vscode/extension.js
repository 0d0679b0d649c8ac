"use strict";
/**
 * The extension: what VS Code itself has to do. All knowledge of the language is in `namel3ss lsp`.
 */

const path = require("node:path");
const vscode = require("vscode");

const { Connection } = require("./lib/connection");
const { isDrawing } = require("./lib/drawings");
const { ModelTree } = require("./lib/models");
const { Panels } = require("./lib/panels");
const { openSettings } = require("./lib/settings");
const { StatusBar } = require("./lib/status");
const { chatWith, runPart } = require("./lib/running");

/** The settings that the server is told when it starts. */
const TOLD_AT_THE_START = ["namel3ss.server", "namel3ss.allowedHosts", "namel3ss.onlineChecks"];

/** What the last activation made, for `deactivate`. */
let connection;

async function activate(context) {
  const log = vscode.window.createOutputChannel("namel3ss", { log: true });
  const panels = new Panels(context.extensionUri);
  connection = new Connection(log, {
    run: (...given) => runPart(connection, panels, ...given).finally(() => models.refresh()),
    chat: (...given) => chatWith(connection, panels, ...given),
    output: (run, text) => panels.add(run, text),
  });
  const models = new ModelTree(connection);
  const status = new StatusBar(connection, models);

  context.subscriptions.push(
    log,
    panels,
    status,
    vscode.window.createTreeView("namel3ss.models", { treeDataProvider: models }),
    vscode.commands.registerCommand("namel3ss.restart", () => connection.restart()),
    vscode.commands.registerCommand("namel3ss.showOutput", () => log.show()),
    vscode.commands.registerCommand("namel3ss.openSettings", () => openSettings()),
    vscode.commands.registerCommand("namel3ss.showMenu", () => status.showMenu()),
    vscode.commands.registerCommand("namel3ss.models.refresh", () => models.refresh()),
    vscode.commands.registerCommand("namel3ss.models.pull", () => models.pull()),
    vscode.commands.registerCommand("namel3ss.models.remove", (item) => models.remove(item)),
    vscode.commands.registerCommand("namel3ss.models.start", () => models.startServer()),
    vscode.workspace.onDidOpenTextDocument((document) => leaveDrawingAlone(document)),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (TOLD_AT_THE_START.some((setting) => event.affectsConfiguration(setting))) {
        void connection.restart();
      }
    }),
  );

  for (const document of vscode.workspace.textDocuments) {
    await leaveDrawingAlone(document);
  }
  await connection.start();
}

async function deactivate() {
  await connection?.stop();
  connection = undefined;
}

/** `.ai` is Adobe Illustrator's ending too: such a file is no program, and gets none of our features. */
async function leaveDrawingAlone(document) {
  if (document.languageId !== "namel3ss" || !isDrawing(document.getText())) {
    return;
  }
  await vscode.languages.setTextDocumentLanguage(document, "plaintext");
  void vscode.window.showInformationMessage(`${path.basename(document.fileName)} is a drawing or binary; namel3ss leaves it alone.`);
}

module.exports = { activate, deactivate };
