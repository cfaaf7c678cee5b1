// The toolbar: which run, kind and metric, which sites, in which order. Every control changes the state, and
// shows it whoever changed it.

import { kindsOf } from "../model/compare.js";
import { filterProblem } from "../model/tree.js";
import { debounce, h } from "./dom.js";

/** @import { ListedRun } from "../model/replies.js" */
/** @import { RunInfo } from "../model/run_info.js" */
/** @import { State, Store } from "../model/state.js" */
/**
 * What is controlled.
 * @typedef {object} Controlled
 * @property {Store} store
 * @property {ListedRun[]} runs
 * @property {RunInfo[]} infos of the runs shown
 * @property {string} run
 * @property {string} kind
 * @property {object | null} view
 * @property {{toggle(): void}} keys
 * @property {() => void} savePng
 * @property {() => void} saveCsv
 */

const TYPING_MS = 150;

export class Controls {
  /** @param {Controlled} app */
  constructor(app) {
    this.app = app;
    /** @param {Partial<State>} changes */
    const set = (changes) => app.store.set(changes);
    this.run = choice("run", "Run", (run) => set({ run, ...RANGES }));
    this.other = choice("other", "Beside it", (other) => set({ other }));
    this.kind = choice("kind", "Gradients of", (kind) =>
      set({ kind, collapsed: [], top: null, bottom: null }),
    );
    this.metric = choice("metric", "Colour", (metric) => set({ metric, low: null, high: null }));
    this.order = choice("order", "Order", (order) =>
      set({ order: order === "worst" ? "worst" : "model", top: null, bottom: null }),
    );
    /** @param {string} filter */
    const filterBy = (filter) => set({ filter, top: null, bottom: null });
    this.filter = this.#filterBox(debounce(filterBy, TYPING_MS));
    this.png = button("png", "PNG", "Save this view as a picture", () => app.savePng());
    this.csv = button("csv", "CSV", "Save the numbers of this view", () => app.saveCsv());
    const keys = button("keys", "?", "Keys and gestures", () => app.keys.toggle());
    const fields = [this.run, this.other, this.kind, this.metric, this.filter, this.order];
    this.element = h(
      "div",
      { class: "toolbar", role: "toolbar", "aria-label": "What is shown" },
      ...fields.map((field) => field.element),
      h("span", { class: "buttons" }, this.png, this.csv, keys),
    );
  }

  /** Shows the state, with the choices that the runs give. */
  show() {
    const { app } = this;
    const { state } = app.store;
    const runs = app.runs.map(({ run, error }) => [run, error ? `${run} (cannot be read)` : run]);
    this.run.show(runs, app.run);
    this.other.show([["", "–"], ...runs.filter(([run]) => run !== app.run)], state.other);
    const kinds = kindsOf(app.infos);
    const all = kinds.length > 1 ? [{ name: "all", title: "All kinds" }] : [];
    this.kind.show(
      [...kinds, ...all].map(({ name, title }) => [name, title]),
      app.kind,
    );
    this.metric.show(
      (app.infos[0]?.metrics ?? []).map(({ name }) => [name, app.infos[0].title(name)]),
      state.metric,
    );
    this.order.show(
      [
        ["model", "as in the model"],
        ["worst", "worst first"],
      ],
      state.order,
    );
    this.filter.show(state.filter);
    this.#hide(state.view);
  }

  /**
   * Shows what is of use: all of it beside the map, less beside other views, nothing without a run.
   * @param {State["view"]} view
   */
  #hide(view) {
    const { runs, infos } = this.app;
    const useful = infos.length > 0 && this.app.view !== null;
    this.run.element.hidden = runs.length === 0;
    this.other.element.hidden = runs.length < 2;
    this.metric.element.hidden = this.order.element.hidden = !useful || view !== "map";
    this.filter.element.hidden = this.kind.element.hidden = !useful || view === "site";
    this.png.hidden = this.csv.hidden = !useful;
  }

  /** @param {(filter: string) => void} changed */
  #filterBox(changed) {
    const input = h("input", {
      type: "search",
      id: "filter",
      placeholder: "text or /regex/",
      spellcheck: "false",
      autocomplete: "off",
    });
    input.addEventListener("input", () => {
      mark(input);
      changed(input.value);
    });
    /** @param {string} value */
    const show = (value) => {
      if (document.activeElement !== input) input.value = value;
      mark(input);
    };
    return { element: h("label", { for: "filter" }, h("span", {}, "Sites"), input), input, show };
  }
}

/** A new run is shown whole. */
const RANGES = { from: null, to: null, top: null, bottom: null, at: null, pin: null };

/** @param {HTMLInputElement} input */
function mark(input) {
  const problem = filterProblem(input.value);
  input.setCustomValidity(problem);
  input.title = problem;
  input.setAttribute("aria-invalid", String(problem !== ""));
}

/**
 * A labelled select; `show(choices, value)` takes [value, text] pairs.
 * @param {string} id @param {string} label @param {(value: string) => void} changed
 */
function choice(id, label, changed) {
  const select = h("select", { id, onchange: () => changed(select.value) });
  const element = h("label", { for: id }, h("span", {}, label), select);
  /** @param {string[][]} choices @param {string} value */
  const show = (choices, value) => {
    const wanted = JSON.stringify(choices);
    if (select.dataset.choices !== wanted) {
      select.replaceChildren(...choices.map(([of, text]) => h("option", { value: of }, text)));
      select.dataset.choices = wanted;
    }
    select.value = value;
  };
  return { element, select, show };
}

/** @type {(action: string, text: string, title: string, onclick: () => void) => HTMLButtonElement} */
const button = (action, text, title, onclick) =>
  h("button", { "data-action": action, title, "aria-label": title, onclick }, text);

/** The way back from an opened site or step. @param {{back(): void}} app */
export function backButton(app) {
  return h(
    "button",
    { class: "back", "data-action": "back", title: "Back to the map (Esc)", onclick: () => app.back() },
    "← Map",
  );
}
