// A section whose content is asked for once, and again after a change: loading, failed, or there.

import { el, skeleton } from "./dom.js";

/** `load` gives a promise; `show` makes the content of what it gives. Returns what asks again. */
export function loaded(place, load, show) {
  let round = 0;
  async function again() {
    const mine = ++round;
    if (!place.firstElementChild) place.append(skeleton());
    try {
      const content = await load();
      if (mine === round) place.replaceChildren(...[show(content)].flat());
    } catch (error) {
      if (mine !== round) return;
      place.replaceChildren(
        el(
          "div",
          { class: "banner is-bad", role: "alert" },
          el("span", {}, error.message),
          el("button", { type: "button", class: "small", onclick: again }, "Try again"),
        ),
      );
    }
  }
  again();
  return again;
}
