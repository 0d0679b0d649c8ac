"use strict";

const vscode = require("vscode");

/**
 * The bars of what may be cancelled. The library shows them all in the status bar, where there is neither a bar nor a way to
 * cancel; these are notifications.
 */
class Bars {
  /** `cancel` tells the server that the user has enough of what a token stands for. */
  constructor(cancel) {
    this.cancel = cancel;
    this.shown = new Map();
  }

  /** What the server says of its progress; `next` leaves it to the library. */
  handle(token, said, next) {
    const bar = this.shown.get(token);
    if (said.kind === "begin" && said.cancellable) {
      this.begin(token, said);
    } else if (bar && said.kind === "report") {
      bar.report(said);
    } else {
      bar?.end();
      next();
    }
  }

  begin(token, { title }) {
    const options = { location: vscode.ProgressLocation.Notification, title, cancellable: true };
    void vscode.window.withProgress(options, (progress, cancellation) => {
      let reached = 0;
      const report = ({ message, percentage }) => {
        const increment = Math.max(0, (percentage ?? reached) - reached);
        reached += increment;
        progress.report({ message, increment });
      };
      cancellation.onCancellationRequested(() => this.cancel(token));
      return new Promise((end) => {
        this.shown.set(token, { report, end });
      }).finally(() => this.shown.delete(token));
    });
  }

  /** The server has gone: nothing of it goes on. */
  endAll() {
    this.shown.forEach((bar) => bar.end());
  }
}

module.exports = { Bars };
