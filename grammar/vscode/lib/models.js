"use strict";

const vscode = require("vscode");

const { sizeText } = require("./words");

/** The models of the user's own server, as a tree: what is loaded comes first. */
class ModelTree {
  constructor(connection) {
    this.connection = connection;
    this.status = { reachable: false, models: [] };
    this.changed = new vscode.EventEmitter();
    this.onDidChangeTreeData = this.changed.event;
    connection.onDidChange(() => this.refresh());
  }

  /** Look at the server again. What it said is in `status`. */
  async refresh() {
    let status = await this.connection.ask("namel3ss.status");
    if (this.status.reachable && status?.reachable === false) {
      // A machine that is busy with a model may take longer to answer than a look waits.
      status = await this.connection.ask("namel3ss.status");
    }
    this.status = { ...status, reachable: status?.reachable === true, models: status?.models ?? [] };
    await vscode.commands.executeCommand("setContext", "namel3ss.state", this.state);
    this.changed.fire();
    return this.status;
  }

  /** What there is to say of the models, in a word; the view's empty page and the status bar go by it. */
  get state() {
    if (this.connection.isStarting) {
      return "starting";
    }
    if (!this.connection.isRunning) {
      return "stopped";
    }
    if (!vscode.workspace.getConfiguration("namel3ss").get("onlineChecks")) {
      return "off";
    }
    if (!this.status.reachable) {
      return "unreachable";
    }
    return this.status.models.length ? "models" : "empty";
  }

  getTreeItem(model) {
    const item = new vscode.TreeItem(model.name, vscode.TreeItemCollapsibleState.None);
    const details = model.details ?? {};
    item.id = model.name;
    item.contextValue = "model";
    item.description = [details.parameter_size, details.quantization_level, model.loaded ? "loaded" : ""]
      .filter((word) => word && word !== "unknown")
      .join(" · ");
    item.iconPath = new vscode.ThemeIcon(model.loaded ? "circle-filled" : "circle-outline");
    item.tooltip = [model.name, sizeText(model.size), (model.capabilities ?? []).join(", "), model.digest]
      .filter(Boolean)
      .join("\n");
    return item;
  }

  getChildren(model) {
    if (model) {
      return [];
    }
    return [...this.status.models].sort(
      (one, other) => Number(other.loaded ?? false) - Number(one.loaded ?? false) || one.name.localeCompare(other.name),
    );
  }

  /** Ask for a name and pull that model; the server shows the bar, which can be cancelled. */
  async pull() {
    if (!this.connection.permits("namel3ss.pullModel")) {
      return;
    }
    const name = await vscode.window.showInputBox({
      title: "Pull a model",
      prompt: "The name of a model, such as llama3:8b or hf.co/user/repo:Q4_K_M",
      validateInput: (text) => (text.trim() ? undefined : "A name is needed."),
    });
    if (name === undefined) {
      return;
    }
    await this.change("namel3ss.pullModel", "ollama", name.trim(), null);
  }

  async remove(model) {
    if (!model || !this.connection.permits("namel3ss.removeModel")) {
      return;
    }
    const remove = "Remove";
    const question = `Remove ${model.name} from the server?`;
    const size = sizeText(model.size);
    const detail = size ? `${size} will be freed; it can be pulled again.` : "It can be pulled again.";
    if ((await vscode.window.showWarningMessage(question, { modal: true, detail }, remove)) !== remove) {
      return;
    }
    await this.change("namel3ss.removeModel", "ollama", model.name, null);
  }

  startServer() {
    return this.change("namel3ss.startServer", "ollama", null);
  }

  /** The server says itself how it went; what never reached it is said here. */
  async change(command, ...given) {
    const outcome = await this.connection.ask(command, ...given);
    if (outcome?.wasAsked === false) {
      void vscode.window.showWarningMessage(outcome.message);
    }
    await this.refresh();
  }
}

module.exports = { ModelTree };
