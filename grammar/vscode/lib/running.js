"use strict";

const { randomUUID } = require("node:crypto");
const vscode = require("vscode");

/** Run a prompt or chain of a file, ask for the inputs that it needs, and show its answer while it comes. */
async function runPart(connection, panels, uri, kind, name) {
  const title = `${kind} ${name}`;
  const run = randomUUID();
  const panel = panels.open(title, run);
  const inputs = {};
  for (;;) {
    const answer = await panel.show((token) => connection.askUntil(token, "namel3ss.run", uri, kind, name, inputs, run));
    if (!answer?.needs?.length) {
      return answer;
    }
    for (const wanted of answer.needs) {
      const given = await vscode.window.showInputBox({ title, prompt: `Input ${wanted}`, ignoreFocusOut: true });
      if (given === undefined) {
        panel.close();
        return undefined;
      }
      inputs[wanted] = given;
    }
  }
}

/** Open a conversation with an ai model of a file. */
function chatWith(connection, panels, uri, model) {
  const messages = [];
  const run = randomUUID();
  const panel = panels.open(`chat ${model}`, run);
  panel.onSaid(async (text) => {
    messages.push({ role: "user", content: text });
    const answer = await panel.show((token) => connection.askUntil(token, "namel3ss.chat", uri, model, messages, run));
    if (answer?.output) {
      messages.push({ role: "assistant", content: answer.output });
    } else {
      messages.pop();
    }
  });
}

module.exports = { chatWith, runPart };
