"use strict";
/**
 * Activates the extension with a stand-in for VS Code and a real server, does what one user would, and prints what came of
 * it as one line of JSON.
 *
 * Usage: node activation.js STORY EXTENSION_FOLDER PROGRAM FILE
 */

const fs = require("node:fs");
const Module = require("node:module");
const path = require("node:path");

const { makeVscode, Uri } = require("./stand_in_vscode.js");

/** A VS Code with one file open and the extension active in it. */
class Sitting {
  constructor({ extension, program, file, answers, isTrusted, settings = {} }) {
    this.stand = makeVscode({
      folder: path.dirname(file),
      settings: {
        "namel3ss.server.command": program,
        "namel3ss.server.arguments": ["lsp"],
        "namel3ss.allowedHosts": [],
        "namel3ss.onlineChecks": true,
        "namel3ss.statusBar.refreshSeconds": 3600,
        ...settings,
      },
      answers,
      isTrusted,
    });
    this.vscode = this.stand.vscode;
    const load = Module._load;
    Module._load = (request, ...rest) => (request === "vscode" ? this.vscode : load(request, ...rest));
    this.extension = require(path.join(extension, "extension.js"));
    this.context = { subscriptions: [], extensionUri: Uri.file(extension), extensionPath: extension };
    this.document = this.add(file);
    this.vscode.window.activeTextEditor = { document: this.document };
  }

  add(file) {
    const text = fs.readFileSync(file, "utf8");
    const document = {
      uri: Uri.file(file), fileName: file, languageId: "namel3ss", version: 1, isDirty: false, isClosed: false,
      getText: () => text,
    };
    this.vscode.workspace.textDocuments.push(document);
    return document;
  }

  async begin() {
    await this.extension.activate(this.context);
    return this;
  }

  click(command, ...given) {
    return this.vscode.commands.executeCommand(command, ...given);
  }

  run(kind, name) {
    return this.click("namel3ss.run", this.document.uri.toString(), kind, name);
  }

  get models() {
    const tree = this.stand.trees.get("namel3ss.models");
    return tree.getChildren().map((model) => tree.getTreeItem(model));
  }

  get view() {
    const [view] = this.stand.views.slice(-1);
    return view && { title: view.title, html: view.webview.html, options: view.options, posted: view.posted };
  }

  async end(found) {
    const commands = [...this.stand.commands.keys()];
    await this.extension.deactivate();
    this.context.subscriptions.forEach((each) => each.dispose());
    return { commands, told: this.stand.told, left: [...this.stand.commands.keys()], ...found };
  }
}

const STORIES = {
  /** Looks at what is there, and at the menu. */
  async look(given) {
    const sitting = await new Sitting({ ...given, answers: { pick: ["$(refresh) Look again"] } }).begin();
    await sitting.stand.when(() => sitting.models.length);
    await sitting.click("namel3ss.showMenu");
    const { statusBarItem } = sitting.vscode.window;
    return sitting.end({
      models: sitting.models, statusBar: { ...statusBarItem }, state: sitting.stand.contexts["namel3ss.state"],
    });
  },

  /** Runs a prompt that needs an input, then holds a conversation of two turns. */
  async talk(given) {
    const sitting = await new Sitting({ ...given, answers: { input: ["Ann"] } }).begin();
    const answer = await sitting.run("prompt", "greet");
    const run = sitting.view;
    await sitting.click("namel3ss.chat", sitting.document.uri.toString(), "chat");
    const [conversation] = sitting.stand.views.slice(-1);
    for (const [turn, said] of ["Hello", "And again"].entries()) {
      conversation.messages.fire({ said });
      await sitting.stand.when(() => conversation.posted.filter(({ kind }) => kind === "end").length > turn);
    }
    return sitting.end({ answer, run, conversation: conversation.posted });
  },

  /** Stops an answer with the view's button, and a second one by closing the view. */
  async stop(given) {
    const sitting = await new Sitting({ ...given, answers: { input: ["Ann", "Ann"] } }).begin();
    const answers = [];
    for (const leave of [(view) => view.messages.fire({ stop: true }), (view) => view.dispose()]) {
      const running = sitting.run("prompt", "greet");
      const view = await sitting.stand.when(() => sitting.stand.views.at(-1));
      await sitting.stand.when(() => view.posted.some(({ kind }) => kind === "piece"));
      leave(view);
      answers.push(await running);
    }
    return sitting.end({ answers, posted: sitting.stand.views.map((view) => view.posted.map(({ kind }) => kind)) });
  },

  /** Closes the view before the answer is there, and dismisses the question for an input. */
  async dismiss(given) {
    const sitting = await new Sitting({ ...given, answers: { input: [undefined, "Ann"] } }).begin();
    const dismissed = await sitting.run("prompt", "greet");
    const { isClosed } = sitting.stand.views[0];
    const running = sitting.run("prompt", "greet");
    sitting.stand.views[1].dispose();
    return sitting.end({ dismissed: dismissed ?? null, isClosed, answer: await running, posted: sitting.view.posted });
  },

  /** Pulls a model from the view's title, and removes another. */
  async keep(given) {
    const answers = { input: ["mistral:7b"], warning: ["Remove"] };
    const sitting = await new Sitting({ ...given, answers }).begin();
    await sitting.stand.when(() => sitting.models.length);
    await sitting.click("namel3ss.models.pull");
    const pulled = sitting.models.map((item) => item.label);
    await sitting.click("namel3ss.models.remove", { name: "llama3:8b", size: 4_700_000_000 });
    return sitting.end({ pulled, removed: sitting.models.map((item) => item.label) });
  },

  /** Cancels a pull at its first step. */
  async cancel(given) {
    const sitting = await new Sitting({ ...given, answers: { input: ["mistral:7b"], progress: ["Cancel"] } }).begin();
    await sitting.stand.when(() => sitting.models.length);
    await sitting.click("namel3ss.models.pull");
    return sitting.end({ models: sitting.models.map((item) => item.label) });
  },

  /** Tries everything that changes something in a workspace that is not trusted. */
  async distrust(given) {
    const answers = { input: ["mistral:7b"], warning: ["Remove"] };
    const sitting = await new Sitting({ ...given, answers, isTrusted: false }).begin();
    await sitting.stand.when(() => sitting.models.length);
    const uri = sitting.document.uri.toString();
    await sitting.run("prompt", "greet");
    await sitting.click("namel3ss.chat", uri, "chat");
    await sitting.click("namel3ss.pullModel", "ollama", "mistral:7b", null);
    await sitting.click("namel3ss.startServer", "ollama", null);
    await sitting.click("namel3ss.allowHost", "gpu.example");
    await sitting.click("namel3ss.models.pull");
    await sitting.click("namel3ss.models.remove", { name: "llama3:8b" });
    return sitting.end({ views: sitting.stand.views.length, models: sitting.models.map((item) => item.label) });
  },

  /** Has a drawing open at the beginning, and opens the others of its folder later. */
  async draw(given) {
    const sitting = await new Sitting(given).begin();
    const folder = path.dirname(given.file);
    for (const name of fs.readdirSync(folder).filter((each) => each !== path.basename(given.file))) {
      const later = sitting.add(path.join(folder, name));
      sitting.stand.events.onDidOpenTextDocument.fire(later);
      await sitting.stand.when(() => sitting.stand.told.some(([, text]) => text.startsWith(name)));
    }
    await sitting.click("namel3ss.models.refresh");
    return sitting.end({
      statusBar: { ...sitting.vscode.window.statusBarItem },
      languages: sitting.vscode.workspace.textDocuments.map((document) => document.languageId),
      diagnostics: [...sitting.stand.diagnostics.values()].flat().length,
    });
  },

  /** The program of the settings is not there, or is no server. */
  async fail(given) {
    const sitting = await new Sitting({ ...given, answers: { error: ["Open Settings"] } }).begin();
    await sitting.stand.when(() => sitting.stand.contexts["namel3ss.state"] === "stopped");
    await sitting.click("namel3ss.showMenu");
    await sitting.run("prompt", "greet").catch((error) => sitting.stand.told.push(["no command", error.message]));
    return sitting.end({ statusBar: { ...sitting.vscode.window.statusBarItem }, pages: sitting.stand.pages });
  },

  /** Looks when there is no Ollama. */
  alone(given) {
    return lookAtNothing(given);
  },

  /** Looks when no server may be asked. */
  unasked(given) {
    return lookAtNothing({ ...given, settings: { "namel3ss.onlineChecks": false } });
  },

  /** Changes a setting that the server is told when it starts, which starts it again. */
  async restart(given) {
    const sitting = await new Sitting({ ...given, answers: { input: ["Ann"] } }).begin();
    sitting.stand.events.onDidChangeConfiguration.fire({ affectsConfiguration: (name) => name === "namel3ss.allowedHosts" });
    await sitting.stand.when(() => !sitting.stand.commands.has("namel3ss.run"));
    await sitting.stand.when(() => sitting.stand.commands.has("namel3ss.run"));
    return sitting.end({ answer: await sitting.run("prompt", "greet") });
  },
};

async function lookAtNothing(given) {
  const sitting = await new Sitting(given).begin();
  const state = await sitting.stand.when(() => {
    const now = sitting.stand.contexts["namel3ss.state"];
    return now !== "starting" && now;
  });
  await sitting.click("namel3ss.showMenu");
  return sitting.end({ state });
}

async function main([story, extension, program, file]) {
  console.log(JSON.stringify(await STORIES[story]({ extension, program, file })));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
