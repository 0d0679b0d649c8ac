"use strict";
// Runs in the view. Everything that comes from a model is put in as text, never as markup.
(function () {
  const vscode = acquireVsCodeApi();
  const answers = document.getElementById("answers");
  const form = document.getElementById("say");
  const field = document.getElementById("text");
  const waiting = document.getElementById("waiting");
  const state = document.getElementById("state");
  let current;
  let said = "";

  function block(kind) {
    const made = document.createElement("pre");
    made.className = kind;
    answers.append(made);
    return made;
  }

  function scrolled(work) {
    const atEnd = window.innerHeight + window.scrollY >= document.body.scrollHeight - 8;
    work();
    if (atEnd) {
      window.scrollTo(0, document.body.scrollHeight);
    }
  }

  /** Nothing comes any more: the user may speak again. */
  function done() {
    current = undefined;
    waiting.hidden = true;
    field.disabled = false;
    if (!form.hidden && document.hasFocus()) {
      field.focus();
    }
  }

  const shown = {
    listen() {
      form.hidden = false;
      field.focus();
    },
    wait() {
      state.textContent = "Waiting for the model…";
      waiting.hidden = false;
    },
    pause() {
      waiting.hidden = true; // the user is asked for inputs first
    },
    piece({ text }) {
      state.textContent = "Answering…";
      current ??= block("answer");
      current.append(text);
    },
    end({ output }) {
      (current ?? block("answer")).textContent = output;
      done();
    },
    stopped() {
      block("note").textContent = "Stopped.";
      done();
    },
    failed({ text }) {
      block("failure").textContent = text;
      // What was said was not heard: it need not be written again.
      field.value ||= said;
      done();
    },
  };

  window.addEventListener("message", ({ data }) => scrolled(() => shown[data.kind](data)));
  document.getElementById("stop").addEventListener("click", () => vscode.postMessage({ stop: true }));

  function send() {
    if (field.disabled || !field.value.trim()) {
      return;
    }
    said = field.value;
    block("said").textContent = said;
    vscode.postMessage({ said });
    field.value = "";
    field.disabled = true;
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      send();
    }
  });
})();
