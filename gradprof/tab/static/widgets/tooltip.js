// The cell under the pointer, in plain numbers: what the picture knows at once, then what the `cell` route
// says of the worst step in it.

import { ApiError, figure, getCell, isAbort, Latest } from "../model/api.js";
import { count, metricValue, number, share, stepSpan } from "../model/format.js";
import { MISSING, NON_FINITE } from "../model/grid.js";
import { debounce, h } from "./dom.js";

const WAIT_MS = 90;
const MARGIN = 14;

export class Tooltip {
  #latest = new Latest();
  #ask = debounce((pick) => this.#load(pick), WAIT_MS);

  /** @param actions {openSite(label), openStep(ordinal), said(text)}; `said` hears a line for the status bar */
  constructor(actions) {
    this.actions = actions;
    this.element = h("div", { class: "tooltip", role: "tooltip", hidden: true });
    this.key = null;
    this.point = { x: 0, y: 0 };
    this.pinned = false;
    this.worstOrdinal = null; // of the worst step in the cell, once it is known
  }

  /**
   * @param pick {info, site, metric, from, to, first_step, last_step, value, flags}
   * @param point {x, y} in the page
   */
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
    this.key = null;
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

  async #load(pick) {
    const metric = pick.flags & NON_FINITE ? "non_finite" : pick.metric; // nothing is worse than a NaN
    const query = {
      run: pick.info.run,
      site: pick.info.indexOf.get(pick.site),
      metric,
      from: pick.from,
      to: pick.to,
    };
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

function localValue({ metric, value, flags }) {
  if (flags & MISSING) return "no gradient came";
  const text = metricValue(metric, value);
  return flags & NON_FINITE ? `${text}, with NaN or inf` : text;
}

function cellValue(cell, { metric }) {
  return cell.missing ? "no gradient came" : metricValue(metric, figure(cell.metrics[metric]));
}

/** Every figure of a cell as a list of names and values; also used beside an opened site. */
export function figures(cell, info) {
  if (cell.missing) return h("dl", {}, ...pair("gradient", "none came"), ...scalars(cell));
  const stats = Object.fromEntries(Object.entries(cell.stats).map(([name, value]) => [name, figure(value)]));
  const part = (n) => (n === 0 ? "0" : `${count(n)} (${share(n / stats.numel)})`);
  const change = metricValue("l2_change", figure(cell.metrics.l2_change));
  return h(
    "dl",
    {},
    ...pair("largest |g|", number(stats.abs_max), "abs_max"),
    ...pair("smallest |g| > 0", number(stats.abs_min), "abs_min"),
    ...pair("mean |g|", number(stats.abs_mean), "abs_mean"),
    ...pair("RMS", number(stats.rms), "rms"),
    ...pair("L2 norm", number(stats.l2), "l2"),
    ...pair("L2 / its median", change, "l2_change"),
    ...pair(`|g| ≥ ${number(info.threshold)}`, part(stats.n_above), "n_above"),
    ...pair("zeros", part(stats.n_zero), "n_zero"),
    ...pair("NaN, inf", nonFinite(stats), "non_finite"),
    ...pair("values", count(stats.numel), "numel"),
    ...scalars(cell),
  );
}

function nonFinite({ n_nan, n_inf, numel }) {
  if (n_nan + n_inf === 0) return "0";
  const parts = [n_nan && `${count(n_nan)} NaN`, n_inf && `${count(n_inf)} inf`].filter(Boolean);
  return `${parts.join(", ")} of ${count(numel)}`;
}

const scalars = (cell) =>
  Object.entries(cell.scalars ?? {}).flatMap(([name, value]) =>
    pair(name, number(figure(value)), `scalar ${name}`),
  );

const pair = (name, value, figure_ = null) => [h("dt", {}, name), h("dd", { "data-figure": figure_ }, value)];
