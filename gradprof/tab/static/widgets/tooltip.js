// The cell under the pointer, in plain numbers: what the picture knows at once, then what the `cell` route
// says of the worst step in it.

import { ApiError, figure, getCell, isAbort, Latest } from "../model/api.js";
import { count, metricValue, number, share, stepSpan } from "../model/format.js";
import { MISSING, NON_FINITE } from "../model/grid.js";
import { debounce, h } from "./dom.js";

/** @import { Span } from "../model/columns.js" */
/** @import { Cell } from "../model/replies.js" */
/** @import { RunInfo } from "../model/run_info.js" */
/** @typedef {{info: RunInfo, site: string, metric: string, value: number, flags: number}} Local */
/** @typedef {Local & Span} Pick of a cell: a site, and the steps that it stands for */
/** @typedef {{x: number, y: number}} Point on the page */

const WAIT_MS = 90;
const MARGIN = 14;

export class Tooltip {
  #latest = new Latest();
  #ask = debounce((/** @type {Pick} */ pick) => this.#load(pick), WAIT_MS);

  /**
   * `said` hears a line for the status bar.
   * @param {{openSite(label: string): void, openStep(ordinal: number): void, said(text: string): void}} actions
   */
  constructor(actions) {
    this.actions = actions;
    this.element = h("div", { class: "tooltip", role: "tooltip", hidden: true });
    this.key = "";
    this.point = { x: 0, y: 0 };
    this.pinned = false;
    /** @type {number | null} */
    this.worstOrdinal = null; // of the worst step in the cell, once it is known
  }

  /** @param {Pick} pick @param {Point} point */
  show(pick, point) {
    const key = `${pick.info.run} ${pick.site} ${pick.metric} ${pick.from} ${pick.to}`;
    if (key !== this.key) {
      this.key = key;
      this.worstOrdinal = null;
      this.#latest.cancel();
      this.#fill(pick, null);
      this.#ask(pick);
    }
    this.element.hidden = false;
    this.point = point;
    this.#place();
  }

  hide() {
    this.key = "";
    this.pinned = false;
    this.element.hidden = true;
    this.element.classList.remove("pinned");
    this.#ask.cancel();
    this.#latest.cancel();
  }

  /** Keeps the cell in place, with buttons, until it is hidden. */
  pin() {
    this.pinned = true;
    this.element.classList.add("pinned");
    this.#place();
  }

  /** @param {Pick} pick */
  async #load(pick) {
    const metric = pick.flags & NON_FINITE ? "non_finite" : pick.metric; // nothing is worse than a NaN
    const site = pick.info.indexOf.get(pick.site);
    if (site === undefined) return; // of the other run
    const query = { run: pick.info.run, site, metric, from: pick.from, to: pick.to };
    try {
      const cell = await this.#latest.run((signal) => getCell(query, signal));
      this.worstOrdinal = cell.ordinal;
      this.#fill(pick, cell);
      this.#place();
    } catch (error) {
      if (isAbort(error)) return;
      if (!(error instanceof ApiError)) throw error;
      this.element.append(h("p", { class: "problem" }, error.message));
    }
  }

  /** @param {Pick} pick @param {Cell | null} cell null until it has come */
  #fill(pick, cell) {
    const step = cell ? cell.step : null;
    const span = stepSpan(pick.first_step, pick.last_step);
    const of =
      pick.to - pick.from > 1
        ? ` · worst of ${count(pick.to - pick.from)} (${count(pick.first_step)}–${count(pick.last_step)})`
        : "";
    const where = step === null ? span : `step ${count(step)}${of}`;
    const open = h(
      "div",
      { class: "actions" },
      h("button", { onclick: () => this.actions.openSite(pick.site) }, "Open site"),
      h("button", { onclick: () => this.actions.openStep(cell ? cell.ordinal : pick.from) }, "Open step"),
    );
    this.element.replaceChildren(
      h("strong", {}, h("bdi", {}, pick.site)),
      h("p", { class: "where" }, where),
      cell ? figures(cell, pick.info) : h("dl", {}, ...pair(pick.info.title(pick.metric), localValue(pick))),
      open,
    );
    this.actions.said(
      `${pick.site}, ${where}: ${pick.info.title(pick.metric)} ${cell ? cellValue(cell, pick) : localValue(pick)}`,
    );
  }

  /** Beside the point, on the page: it has grown when the figures have come. */
  #place() {
    const { x, y } = this.point;
    const { offsetWidth: width, offsetHeight: height } = this.element;
    const left = x + MARGIN + width < window.innerWidth ? x + MARGIN : x - MARGIN - width;
    const top = Math.min(y + MARGIN, window.innerHeight - height - 4);
    Object.assign(this.element.style, { left: `${Math.max(4, left)}px`, top: `${Math.max(4, top)}px` });
  }
}

/** @param {Local} pick */
function localValue({ metric, value, flags }) {
  if (flags & MISSING) return "no gradient came";
  const text = metricValue(metric, value);
  return flags & NON_FINITE ? `${text}, with NaN or inf` : text;
}

/** @param {Cell} cell @param {Local} pick */
function cellValue(cell, { metric }) {
  return cell.missing ? "no gradient came" : metricValue(metric, figure(cell.metrics[metric]));
}

/** Every figure of a cell as a list of names and values. @param {Cell} cell @param {RunInfo} info */
function figures(cell, info) {
  if (cell.missing) return h("dl", {}, ...pair("gradient", "none came"), ...scalars(cell));
  /** @param {string} name */
  const stat = (name) => figure(cell.stats[name]);
  const numel = stat("numel");
  /** @param {number} n */
  const part = (n) => (n === 0 ? "0" : `${count(n)} (${share(n / numel)})`);
  const change = metricValue("l2_change", figure(cell.metrics.l2_change));
  return h(
    "dl",
    {},
    ...pair("largest |g|", number(stat("abs_max")), "abs_max"),
    ...pair("smallest |g| > 0", number(stat("abs_min")), "abs_min"),
    ...pair("mean |g|", number(stat("abs_mean")), "abs_mean"),
    ...pair("RMS", number(stat("rms")), "rms"),
    ...pair("L2 norm", number(stat("l2")), "l2"),
    ...pair("L2 / its median", change, "l2_change"),
    ...pair(`|g| ≥ ${number(info.threshold)}`, part(stat("n_above")), "n_above"),
    ...pair("zeros", part(stat("n_zero")), "n_zero"),
    ...pair("NaN, inf", nonFinite(stat("n_nan"), stat("n_inf"), numel), "non_finite"),
    ...pair("values", count(numel), "numel"),
    ...scalars(cell),
  );
}

/** @param {number} n_nan @param {number} n_inf @param {number} numel */
function nonFinite(n_nan, n_inf, numel) {
  if (n_nan + n_inf === 0) return "0";
  const parts = [n_nan && `${count(n_nan)} NaN`, n_inf && `${count(n_inf)} inf`].filter(Boolean);
  return `${parts.join(", ")} of ${count(numel)}`;
}

/** @param {Cell} cell */
const scalars = (cell) =>
  Object.entries(cell.scalars).flatMap(([name, value]) =>
    pair(name, number(figure(value)), `scalar ${name}`),
  );

/** @type {(name: string, value: string, figure_?: string) => HTMLElement[]} */
const pair = (name, value, figure_) => [h("dt", {}, name), h("dd", { "data-figure": figure_ }, value)];
