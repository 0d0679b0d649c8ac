"use strict";

const { randomBytes } = require("node:crypto");
const vscode = require("vscode");

/** A view beside the file that shows answers while they come, and takes what the user says where there is a chat. */
class Panel {
  constructor(view, closed) {
    this.view = view;
    this.isClosed = false;
    this.said = undefined;
    /** Cancels what is asked for now; what has come of its answer. */
    this.asking = undefined;
    this.text = "";
    this.subscriptions = [
      view.webview.onDidReceiveMessage((message) => this.heard(message)),
      view.onDidDispose(() => {
        this.isClosed = true;
        this.asking?.cancel();
        this.subscriptions.forEach((each) => each.dispose());
        closed();
      }),
    ];
  }

  heard({ said, stop }) {
    if (stop === true) {
      this.asking?.cancel();
    } else if (typeof said === "string" && said.trim()) {
      this.said?.(said);
    }
  }

  /**
   * The answer to a question, which is shown. The user may stop it, or close the view: then the one who answers is told by
   * the token that `ask` gets, and what came so far is the answer.
   */
  async show(ask) {
    const asking = new vscode.CancellationTokenSource();
    this.asking = asking;
    if (this.isClosed) {
      asking.cancel();
    }
    this.text = "";
    this.post({ kind: "wait" });
    const answer = await ask(asking.token);
    this.asking = undefined;
    if (asking.token.isCancellationRequested && !answer?.success) {
      this.post({ kind: "stopped" });
      return { success: false, message: "It was stopped.", output: this.text };
    }
    this.end(answer);
    return answer;
  }

  /** From now on there is a field to write in; `callback` gets what was said. */
  onSaid(callback) {
    this.said = callback;
    this.post({ kind: "listen" });
  }

  add(text) {
    this.text += text;
    this.post({ kind: "piece", text });
  }

  /** The answer is complete. What was not streamed is shown now; a failure says what to do. */
  end(answer) {
    if (answer?.needs?.length) {
      this.post({ kind: "pause" });
      return;
    }
    if (answer?.success) {
      const output = typeof answer.output === "string" ? answer.output : JSON.stringify(answer.output, null, 2);
      this.post({ kind: "end", output });
    } else {
      const text = [answer?.message, answer?.suggestion].filter(Boolean).join("\n");
      this.post({ kind: "failed", text: text || "There was no answer." });
    }
  }

  close() {
    this.view.dispose();
  }

  /** The user may have closed the view while the answer came; a closed view takes no messages. */
  post(message) {
    if (!this.isClosed) {
      void this.view.webview.postMessage(message);
    }
  }
}

/** The views that are open, by the run whose answer they show. */
class Panels {
  constructor(extensionUri) {
    this.media = vscode.Uri.joinPath(extensionUri, "media");
    this.shown = new Map();
  }

  open(title, run) {
    const view = vscode.window.createWebviewPanel(
      "namel3ss.answer",
      title,
      { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true },
      { enableScripts: true, localResourceRoots: [this.media], retainContextWhenHidden: true },
    );
    view.webview.html = this.page(view.webview, title);
    const panel = new Panel(view, () => this.shown.delete(run));
    this.shown.set(run, panel);
    return panel;
  }

  /** A piece of an answer has come. */
  add(run, text) {
    this.shown.get(run)?.add(text);
  }

  dispose() {
    [...this.shown.values()].forEach((panel) => panel.close());
  }

  /** Nothing is loaded but our own script and style; what a model says is only ever put in as text. */
  page(webview, title) {
    const nonce = randomBytes(16).toString("base64");
    const policy = `default-src 'none'; style-src ${webview.cspSource}; script-src 'nonce-${nonce}'`;
    const file = (name) => webview.asWebviewUri(vscode.Uri.joinPath(this.media, name));
    return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<link rel="stylesheet" href="${file("answer.css")}">
<title>${escaped(title)}</title>
</head>
<body>
<main id="answers" role="log" aria-live="polite"></main>
<p id="waiting" hidden><span id="state" role="status"></span> <button id="stop" type="button">Stop</button></p>
<form id="say" hidden><textarea id="text" rows="3" aria-label="Your message"></textarea><button>Send</button></form>
<script nonce="${nonce}" src="${file("answer.js")}"></script>
</body>
</html>`;
  }
}

function escaped(text) {
  return text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

module.exports = { Panels };
