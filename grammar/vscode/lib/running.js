"use strict";

const { randomUUID } = require("node:crypto");
const vscode = require("vscode");

/** Run a prompt or chain of a file, ask for the inputs that it needs, and show its answer while it comes. */
async function runPart(connection, panels, uri, kind, name) {
  const title = `${kind} ${name}`;
  const run = randomUUID();
  const panel = panels.open(title, run);
  const inputs = {};
  let answer = await connection.ask("namel3ss.run", uri, kind, name, inputs, run);
  while (answer?.needs?.length) {
    for (const wanted of answer.needs) {
      const given = await vscode.window.showInputBox({ title, prompt: `Input ${wanted}`, ignoreFocusOut: true });
      if (given === undefined) {
        panel.close();
        return undefined;
      }
      inputs[wanted] = given;
    }
    answer = await connection.ask("namel3ss.run", uri, kind, name, inputs, run);
  }
  panel.end(answer);
  return answer;
}

/** Open a conversation with an ai model of a file. */
function chatWith(connection, panels, uri, model) {
  const messages = [];
  const run = randomUUID();
  const panel = panels.open(`chat ${model}`, run);
  panel.onSaid(async (text) => {
    messages.push({ role: "user", content: text });
    const answer = await connection.ask("namel3ss.chat", uri, model, messages, run);
    if (answer?.success) {
      messages.push({ role: "assistant", content: answer.output });
    } else {
      messages.pop();
    }
    panel.end(answer);
  });
}

module.exports = { chatWith, runPart };
