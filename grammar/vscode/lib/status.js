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
    const { reachable, models, version, error, suggestion } = this.models.status;
    if (!this.connection.isRunning) {
      return { text: "$(error) namel3ss", tooltip: "The language server does not run." };
    }
    if (!vscode.workspace.getConfiguration("namel3ss").get("onlineChecks")) {
      return { text: "$(circle-slash) Ollama", tooltip: "No server is asked: namel3ss.onlineChecks is off." };
    }
    if (!reachable) {
      const why = [error, suggestion].filter(Boolean).join("\n");
      return { text: "$(debug-disconnect) Ollama", tooltip: why || "No model server answers." };
    }
    const loaded = models.filter((model) => model.loaded).map((model) => model.name);
    return {
      text: `$(server) ${loaded.length ? loaded.join(", ") : counted(models)}`,
      tooltip: `Ollama ${version ?? ""}\n${counted(models)} installed\nLoaded: ${loaded.join(", ") || "none"}`,
    };
  }

  async showMenu() {
    const { reachable } = this.models.status;
    const entries = [
      { label: "$(refresh) Look again", run: () => this.models.refresh() },
      reachable
        ? { label: "$(cloud-download) Pull a model…", run: () => this.models.pull() }
        : { label: "$(play) Start Ollama", run: () => this.models.startServer() },
      { label: "$(list-unordered) Show the models", run: () => vscode.commands.executeCommand("namel3ss.models.focus") },
      { label: "$(debug-restart) Restart the language server", run: () => this.connection.restart() },
      { label: "$(output) Show the log", run: () => vscode.commands.executeCommand("namel3ss.showOutput") },
    ];
    const chosen = await vscode.window.showQuickPick(entries, { title: "namel3ss" });
    await chosen?.run();
  }

  dispose() {
    clearTimeout(this.timer);
    this.subscriptions.forEach((each) => each.dispose());
    this.item.dispose();
  }
}

function counted(models) {
  return `${models.length} ${models.length === 1 ? "model" : "models"}`;
}

module.exports = { StatusBar };
