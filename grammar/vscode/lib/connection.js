"use strict";

const vscode = require("vscode");
const { CloseAction, LanguageClient, RevealOutputChannelOn, State, TransportKind } = require("vscode-languageclient/node");

const { Bars } = require("./bars");
const { isDrawing } = require("./drawings");
const { openSettings } = require("./settings");

/** The commands of the server that only the user's click may send, and only in a trusted workspace. */
const CHANGING = new Set([
  "namel3ss.run",
  "namel3ss.chat",
  "namel3ss.pullModel",
  "namel3ss.removeModel",
  "namel3ss.startServer",
  "namel3ss.allowHost",
]);

const NOT_TRUSTED = "Trust this workspace first: nothing is run, pulled or started in it before.";

/** The library's client, which leaves it to us to say that the server did not start. */
class Client extends LanguageClient {
  hasStarted = false;

  error(message, data, show) {
    super.error(message, data, show === "force" && this.hasStarted ? "force" : false);
  }
}

/** The running language server: started, restarted and stopped, and asked to do what its commands say. */
class Connection {
  /**
   * `run` and `chat` take over those two commands, because their answers want a panel. `output` gets the pieces of an
   * answer: the text that names the run, and the text.
   */
  constructor(log, { run, chat, output }) {
    this.log = log;
    this.client = undefined;
    this.changed = new vscode.EventEmitter();
    /** Fires when the server has started or stopped. */
    this.onDidChange = this.changed.event;
    this.taken = { "namel3ss.run": run, "namel3ss.chat": chat };
    this.output = output;
    /** Starts and stops happen one after the other; so many are under way. */
    this.turn = Promise.resolve();
    this.turns = 0;
  }

  get isRunning() {
    return this.client?.state === State.Running;
  }

  get isStarting() {
    return this.turns > 0 || this.client?.state === State.Starting;
  }

  start() {
    return this.inTurn(() => this.begin());
  }

  stop() {
    return this.inTurn(() => this.end());
  }

  restart() {
    return this.inTurn(async () => {
      await this.end();
      await this.begin();
    });
  }

  /** The server's answer to one of its commands; an answer that says why where there is no server or no trust. */
  ask(command, ...given) {
    return this.askUntil(undefined, command, ...given);
  }

  /** The same, until a token says that nobody waits for the answer any more: then the server stops its work. */
  async askUntil(token, command, ...given) {
    if (CHANGING.has(command) && !vscode.workspace.isTrusted) {
      return { success: false, message: NOT_TRUSTED, wasAsked: false };
    }
    if (!this.isRunning) {
      return { success: false, message: "The language server does not run; see the log of namel3ss.", wasAsked: false };
    }
    const wanted = { command, arguments: given };
    try {
      // A token that is not there must not be sent either: it would count as a second parameter.
      return await this.client.sendRequest("workspace/executeCommand", wanted, ...(token ? [token] : []));
    } catch (error) {
      return { success: false, message: String(error.message ?? error), wasAsked: false };
    }
  }

  inTurn(work) {
    this.turns += 1;
    const whole = async () => {
      try {
        await work();
      } finally {
        this.turns -= 1;
        this.changed.fire();
      }
    };
    this.turn = this.turn.then(whole, whole);
    this.changed.fire();
    return this.turn;
  }

  async begin() {
    const settings = vscode.workspace.getConfiguration("namel3ss");
    const command = settings.get("server.command");
    const bars = new Bars((token) => void client.sendNotification("window/workDoneProgress/cancel", { token }));
    const client = new Client(
      "namel3ss",
      "namel3ss",
      { command, args: settings.get("server.arguments"), transport: TransportKind.stdio },
      {
        documentSelector: [{ language: "namel3ss" }],
        outputChannel: this.log,
        revealOutputChannelOn: RevealOutputChannelOn.Never,
        initializationOptions: {
          allowedHosts: settings.get("allowedHosts"),
          onlineChecks: settings.get("onlineChecks"),
        },
        initializationFailedHandler: () => false,
        errorHandler: this.errorHandler(() => client),
        middleware: {
          didOpen: async (document, next) => (isDrawing(document.getText()) ? undefined : next(document)),
          handleWorkDoneProgress: (token, said, next) => bars.handle(token, said, next),
          executeCommand: (name, given, next) => this.clicked(name, given, next),
        },
      },
    );
    client.onNotification("namel3ss/output", ({ run, text }) => this.output(run, text));
    client.onDidChangeState(({ newState }) => {
      if (newState === State.Stopped) {
        bars.endAll();
      }
      // What a start or stop goes through on its way is of no use to anybody.
      if (this.turns === 0) {
        this.changed.fire();
      }
    });
    this.client = client;
    try {
      await client.start();
      client.hasStarted = true;
    } catch (error) {
      this.log.error(`${command}: ${error.message ?? error}`);
      void this.offerHelp(command);
    }
  }

  /** A server that ends later is started again, a few times; one that never started is not. */
  errorHandler(client) {
    let usual;
    const handler = () => (usual ??= client().createDefaultErrorHandler());
    const giveUp = { action: CloseAction.DoNotRestart, handled: true };
    return {
      error: (...given) => handler().error(...given),
      closed: () => (client().hasStarted ? handler().closed() : giveUp),
    };
  }

  /** Whether a command may be sent; the user is told when it may not. */
  permits(command) {
    const isPermitted = !CHANGING.has(command) || vscode.workspace.isTrusted;
    if (!isPermitted) {
      void vscode.window.showWarningMessage(NOT_TRUSTED);
    }
    return isPermitted;
  }

  /** A lens or a code action of the server was clicked. */
  clicked(name, given, next) {
    if (!this.permits(name)) {
      return undefined;
    }
    return this.taken[name] ? this.taken[name](...given) : next(name, given);
  }

  async end() {
    const client = this.client;
    this.client = undefined;
    // What failed to start has nothing to end, and refuses to be.
    if (client?.state === State.Running || client?.state === State.Starting) {
      await client.dispose();
    }
  }

  async offerHelp(command) {
    const settings = "Open Settings";
    const log = "Show Log";
    const chosen = await vscode.window.showErrorMessage(
      `The language server \`${command}\` did not start. Install it with: pip install 'namel3ss[editor]'`,
      settings,
      log,
    );
    if (chosen === settings) {
      await openSettings("namel3ss.server.command");
    } else if (chosen === log) {
      this.log.show();
    }
  }
}

module.exports = { CHANGING, Connection };
