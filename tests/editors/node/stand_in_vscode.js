"use strict";
/**
 * What the extension and vscode-languageclient use of VS Code, with everything that was said to the user kept in `told`.
 *
 * Classes that nobody here looks into are made on demand, but for names that VS Code has as types only; what is asked for as
 * a function answers with something that can be disposed of.
 */

const path = require("node:path");
const { pathToFileURL, fileURLToPath } = require("node:url");

class EventEmitter {
  constructor() {
    this.listeners = new Set();
    this.event = (listener, self) => {
      const bound = self ? listener.bind(self) : listener;
      this.listeners.add(bound);
      return { dispose: () => this.listeners.delete(bound) };
    };
  }
  fire(value) {
    for (const listener of this.listeners) {
      listener(value);
    }
  }
  dispose() {
    this.listeners.clear();
  }
}

class Disposable {
  constructor(callback) {
    this.callback = callback;
  }
  static from(...all) {
    return new Disposable(() => all.forEach((each) => each.dispose()));
  }
  dispose() {
    this.callback?.();
  }
}

class Uri {
  constructor(text) {
    const url = new URL(text);
    this.text = text;
    this.scheme = url.protocol.slice(0, -1);
    this.path = decodeURIComponent(url.pathname);
    this.fsPath = this.scheme === "file" ? fileURLToPath(url) : this.path;
  }
  static parse(text) {
    return new Uri(text);
  }
  static file(name) {
    return new Uri(pathToFileURL(name).href);
  }
  static joinPath(uri, ...parts) {
    return Uri.file(path.join(uri.fsPath, ...parts));
  }
  toString() {
    return this.text;
  }
  with() {
    return this;
  }
}

class CancellationTokenSource {
  constructor() {
    const emitter = new EventEmitter();
    this.token = { isCancellationRequested: false, onCancellationRequested: emitter.event };
    this.cancel = () => {
      this.token.isCancellationRequested = true;
      emitter.fire();
    };
  }
  dispose() {}
}

class Position {
  constructor(line, character) {
    Object.assign(this, { line, character });
  }
}

class Range {
  constructor(start, end) {
    Object.assign(this, { start, end });
  }
}

class CodeActionKind {
  constructor(value) {
    this.value = value;
  }
  append(part) {
    return new CodeActionKind(this.value ? `${this.value}.${part}` : part);
  }
}
for (const name of ["Empty", "QuickFix", "Refactor", "Source"]) {
  CodeActionKind[name] = new CodeActionKind(name === "Empty" ? "" : name.toLowerCase());
}

class TreeItem {
  constructor(label, collapsibleState) {
    Object.assign(this, { label, collapsibleState });
  }
}

class ThemeIcon {
  constructor(id) {
    this.id = id;
  }
}

/**
 * `settings` are the user's; `answers` say for each kind of question (input, pick, warning, error) what the user chooses, in
 * turn. `when` waits until something that was told or shown makes a condition true.
 */
function makeVscode({ settings = {}, answers = {}, isTrusted = true, folder }) {
  const waiting = new Set();
  const noticed = () => [...waiting].forEach((look) => look());
  const when = (condition) =>
    new Promise((resolve) => {
      const look = () => {
        const found = condition();
        if (found) {
          waiting.delete(look);
          resolve(found);
        }
      };
      waiting.add(look);
      look();
    });
  const told = {
    entries: [],
    push(entry) {
      this.entries.push(entry);
      noticed();
    },
  };
  const commands = new Map();
  const views = [];
  const trees = new Map();
  const diagnostics = new Map();
  const contexts = {};
  const pages = [];
  const events = {};
  const disposable = () => new Disposable(() => undefined);
  const on = (name) => (events[name] ??= new EventEmitter()).event;

  const answer = (kind, ...given) => {
    told.push([kind, ...given.map((each) => (typeof each === "function" ? "" : each))]);
    return Promise.resolve(answers[kind]?.shift());
  };

  const window = {
    activeTextEditor: undefined,
    visibleTextEditors: [],
    createOutputChannel: (name) => ({
      name,
      lines: [],
      append: () => undefined,
      appendLine: () => undefined,
      info: () => undefined,
      warn: () => undefined,
      error: (text) => told.push(["log", text]),
      debug: () => undefined,
      trace: () => undefined,
      show: () => undefined,
      dispose: () => undefined,
      logLevel: 2,
      onDidChangeLogLevel: on("logLevel"),
    }),
    createStatusBarItem: () => {
      const shown = (isShown) => {
        item.isShown = isShown;
        noticed();
      };
      const item = { show: () => shown(true), hide: () => shown(false), dispose: () => undefined };
      window.statusBarItem = item;
      return item;
    },
    createTreeView: (id, { treeDataProvider }) => {
      trees.set(id, treeDataProvider);
      return disposable();
    },
    createWebviewPanel: (kind, title, column, options) => {
      const closed = new EventEmitter();
      const messages = new EventEmitter();
      const view = {
        kind, title, options, posted: [], closed, messages,
        webview: {
          cspSource: "vscode-resource:",
          html: "",
          asWebviewUri: (uri) => uri,
          onDidReceiveMessage: messages.event,
          postMessage: (message) => {
            if (view.isClosed) {
              throw new Error("Webview is disposed");
            }
            view.posted.push(message);
            noticed();
            return Promise.resolve(true);
          },
        },
        onDidDispose: closed.event,
        dispose: () => {
          view.isClosed = true;
          closed.fire();
        },
      };
      views.push(view);
      return view;
    },
    showInformationMessage: (...given) => answer("information", ...given),
    showWarningMessage: (...given) => answer("warning", ...given),
    showErrorMessage: (...given) => answer("error", ...given),
    showInputBox: (options) => answer("input", options.prompt),
    showQuickPick: (entries) => answer("pick", entries.map((entry) => entry.label)).then((label) => entries.find((entry) => entry.label === label)),
    withProgress: (options, work) => {
      const cancel = new CancellationTokenSource();
      told.push(["progress", options.title, options.location, options.cancellable]);
      const report = (step) => {
        told.push(["step", step]);
        if (answers.progress?.shift() === "Cancel") {
          cancel.cancel();
        }
      };
      return work({ report }, cancel.token);
    },
    tabGroups: { all: [], onDidChangeTabs: on("tabs"), onDidChangeTabGroups: on("tabGroups") },
    onDidChangeActiveTextEditor: on("activeTextEditor"),
    onDidChangeVisibleTextEditors: on("visibleTextEditors"),
    onDidChangeWindowState: on("windowState"),
    state: { focused: true },
  };

  const workspace = {
    isTrusted,
    textDocuments: [],
    notebookDocuments: [],
    workspaceFolders: folder ? [{ uri: Uri.file(folder), name: path.basename(folder), index: 0 }] : undefined,
    fs: { isWritableFileSystem: () => true },
    getConfiguration: (section) => ({
      get: (name, otherwise) => settings[section ? `${section}.${name}` : name] ?? otherwise,
      inspect: () => undefined,
      has: () => false,
    }),
    getWorkspaceFolder: () => undefined,
    createFileSystemWatcher: () => ({
      onDidCreate: on("created"), onDidChange: on("changed"), onDidDelete: on("deleted"), dispose: () => undefined,
    }),
    registerTextDocumentContentProvider: disposable,
    applyEdit: () => Promise.resolve(true),
  };
  for (const name of [
    "onDidOpenTextDocument", "onDidChangeTextDocument", "onDidCloseTextDocument", "onDidSaveTextDocument",
    "onWillSaveTextDocument", "onDidChangeConfiguration", "onDidChangeWorkspaceFolders", "onDidGrantWorkspaceTrust",
    "onDidCreateFiles", "onDidRenameFiles", "onDidDeleteFiles", "onWillCreateFiles", "onWillRenameFiles",
    "onWillDeleteFiles", "onDidOpenNotebookDocument", "onDidChangeNotebookDocument", "onDidSaveNotebookDocument",
    "onDidCloseNotebookDocument",
  ]) {
    workspace[name] = on(name);
  }

  const languages = new Proxy(
    {
      createDiagnosticCollection: () => ({
        set: (uri, found) => {
          diagnostics.set(uri.toString(), found);
          noticed();
        },
        delete: (uri) => diagnostics.delete(uri.toString()),
        clear: () => diagnostics.clear(),
        forEach: (callback) => diagnostics.forEach((found, uri) => callback(uri, found)),
        dispose: () => diagnostics.clear(),
      }),
      match: (selector, document) => (document.languageId === "namel3ss" ? 10 : 0),
      setTextDocumentLanguage: (document, languageId) => {
        document.languageId = languageId;
        events.onDidOpenTextDocument?.fire(document);
        return Promise.resolve(document);
      },
    },
    { get: (known, name) => known[name] ?? (() => disposable()) },
  );

  const known = {
    __esModule: true, // else a copy of the names known now is what everybody gets
    version: "1.91.0",
    EventEmitter, Disposable, Uri, CancellationTokenSource, CodeActionKind, Position, Range, TreeItem, ThemeIcon,
    window, workspace, languages,
    env: { language: "en", appName: "stand-in", machineId: "stand-in" },
    extensions: { getExtension: () => undefined },
    l10n: { t: (text) => text },
    commands: {
      registerCommand: (id, callback) => {
        commands.set(id, callback);
        noticed();
        return new Disposable(() => {
          commands.delete(id);
          noticed();
        });
      },
      executeCommand: (id, ...given) => {
        if (id === "setContext") {
          contexts[given[0]] = given[1];
          noticed();
          return Promise.resolve();
        }
        if (id.startsWith("workbench.action.")) {
          pages.push([id, ...given]);
          return Promise.resolve();
        }
        const command = commands.get(id);
        return command ? Promise.resolve(command(...given)) : Promise.reject(new Error(`no command ${id}`));
      },
    },
    TreeItemCollapsibleState: { None: 0, Collapsed: 1, Expanded: 2 },
    StatusBarAlignment: { Left: 1, Right: 2 },
    ViewColumn: { Active: -1, Beside: -2 },
    ProgressLocation: { SourceControl: 1, Window: 10, Notification: 15 },
    DiagnosticSeverity: { Error: 0, Warning: 1, Information: 2, Hint: 3 },
    DiagnosticTag: { Unnecessary: 1, Deprecated: 2 },
    LogLevel: { Off: 0, Trace: 1, Debug: 2, Info: 3, Warning: 4, Error: 5 },
    CodeActionTriggerKind: { Invoke: 1, Automatic: 2 },
  };
  const made = new Map();
  const vscode = new Proxy(known, {
    get: (all, name) => {
      if (name in all || name === "CancellationToken" || typeof name === "symbol" || name === "then" || name === "__esModule") {
        return all[name];
      }
      if (!made.has(name)) {
        made.set(name, class {});
      }
      return made.get(name);
    },
  });
  return { vscode, when, told: told.entries, commands, views, trees, diagnostics, contexts, pages, events };
}

module.exports = { makeVscode, Uri };
