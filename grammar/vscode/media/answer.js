"use strict";
// Runs in the view. Everything that comes from a model is put in as text, never as markup.
(function () {
  const vscode = acquireVsCodeApi();
  const answers = document.getElementById("answers");
  const form = document.getElementById("say");
  const field = document.getElementById("text");
  let current;

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

  window.addEventListener("message", ({ data }) => {
    scrolled(() => {
      if (data.kind === "listen") {
        form.hidden = false;
        field.focus();
      } else if (data.kind === "piece") {
        current ??= block("answer");
        current.append(data.text);
      } else if (data.kind === "end") {
        (current ?? block("answer")).textContent = data.output;
        current = undefined;
        field.disabled = false;
      } else if (data.kind === "failed") {
        block("failure").textContent = data.text;
        current = undefined;
        field.disabled = false;
      }
    });
  });

  function send() {
    if (field.disabled || !field.value.trim()) {
      return;
    }
    block("said").textContent = field.value;
    vscode.postMessage({ said: field.value });
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
