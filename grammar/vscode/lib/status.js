"use strict";

const vscode = require("vscode");

/** One item in the status bar: whether the user's own server answers, and what it has loaded. */
class StatusBar {
  constructor(connection, models) {
    this.connection = connection;
    this.models = models;
    this.item = vscode.window.createStatusBarItem("namel3ss.status", vscode.StatusBarAlignment.Right, 50);
    this.item.name = "namel3ss";
    this.item.command = "namel3ss.showMenu";
    this.timer = undefined;
    this.subscriptions = [
      models.onDidChangeTreeData(() => this.show()),
      vscode.window.onDidChangeActiveTextEditor(() => this.show()),
      // A document of another language counts as newly opened.
      vscode.workspace.onDidOpenTextDocument(() => this.show()),
    ];
    this.show();
  }

  /** The item is there while a .ai file is the active one; only then the server is looked at again and again. */
  show() {
    clearTimeout(this.timer);
    if (vscode.window.activeTextEditor?.document.languageId !== "namel3ss") {
      this.item.hide();
      return;
    }
    const { text, tooltip } = this.words();
    this.item.text = text;
    this.item.tooltip = tooltip;
    this.item.show();
    const seconds = vscode.workspace.getConfiguration("namel3ss").get("statusBar.refreshSeconds");
    this.timer = setTimeout(() => this.models.refresh(), seconds * 1000);
  }

  words() {
    const { models, version, error, message, suggestion } = this.models.status;
    switch (this.models.state) {
      case "starting":
        return { text: "$(loading~spin) namel3ss", tooltip: "The language server starts." };
      case "stopped":
        return { text: "$(error) namel3ss", tooltip: "The language server does not run." };
      case "off":
        return { text: "$(circle-slash) Ollama", tooltip: "No server is asked: `namel3ss.onlineChecks` is off." };
      case "unreachable": {
        const why = [error ?? message, suggestion].filter(Boolean).join("\n");
        return { text: "$(debug-disconnect) Ollama", tooltip: why || "No model server answers." };
      }
    }
    const loaded = models.filter((model) => model.loaded).map((model) => model.name);
    return {
      text: `$(server) ${loaded.length ? loaded.join(", ") : counted(models)}`,
      tooltip: `Ollama ${version ?? ""}\n${counted(models)} installed\nLoaded: ${loaded.join(", ") || "none"}`,
    };
  }

  async showMenu() {
    const chosen = await vscode.window.showQuickPick(this.entries(), { title: "namel3ss" });
    await chosen?.run();
  }

  /** What can be done now: nothing is offered that could only fail. */
  entries() {
    const { state } = this.models;
    const models = [{ label: "$(list-unordered) Show the models", run: () => click("namel3ss.models.focus") }];
    const again = { label: "$(refresh) Look again", run: () => click("namel3ss.models.refresh") };
    if (state === "unreachable") {
      models.unshift(again, { label: "$(play) Start Ollama", run: () => click("namel3ss.models.start") });
    } else if (state === "models" || state === "empty") {
      models.unshift(again, { label: "$(cloud-download) Pull a model…", run: () => click("namel3ss.models.pull") });
    }
    return [
      ...(this.connection.isRunning ? models : []),
      { label: "$(debug-restart) Restart the language server", run: () => click("namel3ss.restart") },
      { label: "$(gear) Open the settings", run: () => click("namel3ss.openSettings") },
      { label: "$(output) Show the log", run: () => click("namel3ss.showOutput") },
    ];
  }

  dispose() {
    clearTimeout(this.timer);
    this.subscriptions.forEach((each) => each.dispose());
    this.item.dispose();
  }
}

function click(command) {
  return vscode.commands.executeCommand(command);
}

function counted(models) {
  return `${models.length} ${models.length === 1 ? "model" : "models"}`;
}

module.exports = { StatusBar };
