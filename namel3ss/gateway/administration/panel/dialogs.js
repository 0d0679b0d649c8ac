// Asking, telling and confirming.

import { el } from "./dom.js";

function open(content) {
  const dialog = el("dialog", { "aria-labelledby": "dialog-title" }, content);
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
  return dialog;
}

/** A sentence that goes away by itself. */
export function notice(text) {
  const shown = el("p", { class: "notice" }, text);
  document.getElementById("notices").append(shown);
  setTimeout(() => shown.remove(), 5000);
}

/** True once the person agrees. */
export function confirm({ title, text, action }) {
  return new Promise((resolve) => {
    let agreed = false;
    const dialog = open(
      el(
        "div",
        { class: "dialog-body" },
        el("h2", { id: "dialog-title" }, title),
        el("p", {}, text),
        el(
          "div",
          { class: "dialog-actions" },
          el("button", { type: "button", autofocus: true, onclick: () => dialog.close() }, "Keep"),
          el(
            "button",
            {
              type: "button",
              class: "danger primary",
              onclick: () => {
                agreed = true;
                dialog.close();
              },
            },
            action,
          ),
        ),
      ),
    );
    dialog.addEventListener("close", () => resolve(agreed));
  });
}

/**
 * A form in a dialog. `send` gets the form's data and may throw: then its message is shown and the form stays.
 * Returns the answer of `send`, or undefined where the person gave up.
 */
export function ask({ title, fields, action, send }) {
  return new Promise((resolve) => {
    let result;
    const problem = el("p", { class: "problem", role: "alert", hidden: true });
    const submit = el("button", { type: "submit", class: "primary" }, action);
    const form = el(
      "form",
      {
        class: "dialog-body",
        onsubmit: async (event) => {
          event.preventDefault();
          submit.disabled = true;
          problem.hidden = true;
          try {
            result = await send(new FormData(form));
            dialog.close();
          } catch (error) {
            problem.textContent = error.message;
            problem.hidden = false;
          } finally {
            submit.disabled = false;
          }
        },
      },
      el("h2", { id: "dialog-title" }, title),
      fields,
      problem,
      el(
        "div",
        { class: "dialog-actions" },
        el("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
        submit,
      ),
    );
    const dialog = open(form);
    dialog.addEventListener("close", () => resolve(result));
  });
}

/** A secret, shown this once. */
export function showSecret({ title, text, secret }) {
  return new Promise((resolve) => {
    const copy = el(
      "button",
      {
        type: "button",
        onclick: async () => {
          try {
            await navigator.clipboard.writeText(secret);
            copy.textContent = "Copied";
          } catch {
            // Without a secure context there is no clipboard: select it, so that the keyboard's copy works.
            getSelection().selectAllChildren(code);
            copy.textContent = "Selected: press Ctrl+C";
          }
        },
      },
      "Copy",
    );
    const code = el("code", { id: "secret", class: "mono" }, secret);
    const dialog = open(
      el(
        "div",
        { class: "dialog-body" },
        el("h2", { id: "dialog-title" }, title),
        el("p", {}, text),
        el("div", { class: "secret" }, code, copy),
        el(
          "div",
          { class: "dialog-actions" },
          el("button", { type: "button", class: "primary", onclick: () => dialog.close() }, "I have stored it"),
        ),
      ),
    );
    // A stray Escape must not lose the only copy.
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.addEventListener("close", () => resolve());
  });
}

/** A labelled field. */
export function field(label, control, hint) {
  const id = `field-${control.name}`;
  control.id = id;
  if (hint) control.setAttribute("aria-describedby", `${id}-hint`);
  return el(
    "div",
    { class: "field" },
    el("label", { for: id }, label),
    control,
    hint ? el("p", { class: "hint", id: `${id}-hint` }, hint) : null,
  );
}

export const input = (name, properties = {}) => el("input", { name, autocomplete: "off", spellcheck: "false", ...properties });

export const select = (name, options) =>
  el("select", { name }, options.map(({ value, label, selected }) => el("option", { value, selected }, label)));

export function checks(legend, name, options) {
  return el(
    "fieldset",
    {},
    el("legend", {}, legend),
    el(
      "div",
      { class: "checks" },
      options.map(({ value, label, checked }) =>
        el("label", {}, el("input", { type: "checkbox", name, value, checked }), label),
      ),
    ),
  );
}
