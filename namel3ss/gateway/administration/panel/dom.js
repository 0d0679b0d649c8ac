// Elements, without ever reading text as markup: names, models and errors come from others.

import { shortPlace } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else node.setAttribute(name, String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An element; strings among the children become text. */
export function el(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** The same for SVG. */
export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

/** Change a text only where it differs, so that a selection survives. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Bring the children of `parent` in line with `items`: one child for each key, kept for as long as its item is there,
 * so that focus and selection stay where they are while numbers change.
 */
export function reconcile(parent, items, key, create, update) {
  const kept = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let child = kept.get(name);
    if (child === undefined) {
      child = create(item);
      child.dataset.key = name;
    }
    kept.delete(name);
    update(child, item);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  for (const child of kept.values()) child.remove();
}

/** A table; `columns` are {label, number}. Returns the element and its body. */
export function table(caption, columns) {
  const body = el("tbody");
  const heads = columns.map((column) =>
    el("th", { scope: "col", class: column.number ? "number" : undefined }, column.label ?? ""),
  );
  const whole = el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, heads)), body);
  return { whole, body };
}

/** One cell; its label is shown where rows are cards. */
export function cell(label, content, kind) {
  return el("td", { "data-label": label || undefined, class: kind }, content ?? "");
}

export function empty(title, text) {
  return el("div", { class: "empty" }, el("strong", {}, title), text);
}

export function skeleton() {
  return el("div", { class: "panel skeleton", "aria-label": "Loading", role: "status" }, el("i"), el("i"), el("i"));
}

export function tag(text, kind) {
  return el("span", { class: kind ? `tag ${kind}` : "tag" }, text);
}

export function tags(texts) {
  return el("span", { class: "tags" }, texts.map((text) => tag(text)));
}

/** Where in the file something is declared, in short. */
export function place(declaredAt) {
  return el("span", { class: "mono", title: declaredAt }, shortPlace(declaredAt));
}
