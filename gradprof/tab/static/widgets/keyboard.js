// Keys for the whole tab, and the panel that lists them. A view handles its own keys in `onKey`.

import { h } from "./dom.js";

/** @import { Store } from "../model/state.js" */
/** @import { Controls } from "./controls.js" */
/** @import { Tooltip } from "./tooltip.js" */
/**
 * Whose keys they are.
 * @typedef {object} Listening
 * @property {Store} store
 * @property {Keys} keys
 * @property {Controls} controls
 * @property {Tooltip} tooltip
 * @property {{onKey(event: KeyboardEvent): boolean} | null} view
 * @property {() => void} back
 */

const KEYS = [
  ["← ↑ → ↓", "move the cell; with Shift by ten"],
  ["+ −", "zoom in and out"],
  ["0", "show everything"],
  ["Enter", "open the site"],
  ["s", "open the step"],
  ["p", "pin the opened step, to compare others with it"],
  ["Esc", "back"],
  ["/", "filter sites"],
  ["?", "these keys"],
];
const GESTURES = [
  ["wheel", "zoom steps at the pointer"],
  ["Shift + wheel", "zoom rows; also the wheel on the names"],
  ["drag", "move steps and rows"],
  ["double click", "show everything"],
  ["click", "keep a cell's figures, to open its site or step"],
  ["name", "open the site; a group closes and opens"],
];

export class Keys {
  constructor() {
    /** @param {string[][]} pairs */
    const list = (pairs) =>
      h("dl", {}, ...pairs.flatMap(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)]));
    this.element = h(
      "dialog",
      { class: "keys-panel", "aria-label": "Keys and gestures" },
      h("h2", {}, "Keys"),
      list(KEYS),
      h("h2", {}, "Pointer"),
      list(GESTURES),
      h("form", { method: "dialog" }, h("button", {}, "Close")),
    );
  }

  toggle() {
    if (this.element.open) this.element.close();
    else this.element.showModal();
  }
}

/** Sends keys to the view in front, unless someone is typing. @param {Listening} app */
export function listenToKeys(app) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || app.keys.element.open) return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.matches("input, select, textarea")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    if (event.key === "Enter" && target.matches("button")) return;
    if (general(event, app) || app.view?.onKey(event)) event.preventDefault();
  });
}

/** @param {KeyboardEvent} event @param {Listening} app */
function general(event, app) {
  if (event.key === "?") app.keys.toggle();
  else if (event.key === "/") app.controls.filter.input.focus();
  else if (event.key === "Escape" && app.tooltip.pinned) app.tooltip.hide();
  else if (event.key === "Escape" && app.store.state.view !== "map") app.back();
  else return false;
  return true;
}
