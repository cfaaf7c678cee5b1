// One line that sums up a run: its size, and the worst that happened in it, when and where.

import { ApiError, getCell, getHeatmap, figure, isAbort, Latest } from "../model/api.js";
import { count, metricValue, plural } from "../model/format.js";
import { Grid, NON_FINITE, worse } from "../model/grid.js";
import { isSigned } from "../draw/colors.js";
import { h } from "./dom.js";

/** @import { HeatmapQuery } from "../model/api.js" */
/** @import { RunInfo } from "../model/run_info.js" */
/** @typedef {{openSite(label: string): void, openStep(ordinal: number): void}} Opens */

const MOST_COLUMNS = 4096;

export class Summary {
  #latest = new Latest();

  /** @param {Opens} app */
  constructor(app) {
    this.app = app;
    this.element = h("p", { class: "summary" });
  }

  /**
   * Sums up a run by the grid of all of it, null if there is none, that a query has given.
   * @param {RunInfo} info @param {Grid | null} grid @param {HeatmapQuery} query
   */
  async show(info, grid, query) {
    const size = `${info.summary} · ${plural(grid?.sites.length ?? 0, "site")}`;
    this.element.replaceChildren(size);
    if (!grid || grid.columns === 0) return;
    try {
      const worst = await this.#latest.run((signal) => this.#worst(info, grid, query, signal));
      if (worst.length) this.element.replaceChildren(size, " · ", ...worst);
    } catch (error) {
      if (isAbort(error)) return;
      if (!(error instanceof ApiError)) throw error;
      this.element.replaceChildren(size, " · ", error.message);
    }
  }

  /** @type {(info: RunInfo, grid: Grid, query: HeatmapQuery, signal: AbortSignal) => Promise<(string | Node)[]>} */
  #worst(info, grid, query, signal) {
    const span = columnsWith(grid, NON_FINITE);
    return span ? this.#nonFinite(info, grid, query, span, signal) : this.#largest(grid, query, signal);
  }

  /**
   * Where backward first met a NaN or inf: it runs from the last site to the first.
   * @param {RunInfo} info @param {Grid} grid @param {HeatmapQuery} query @param {Ends} span @param {AbortSignal} signal
   */
  async #nonFinite(info, grid, query, { first, last }, signal) {
    const fine = await refined(grid, first, query, signal);
    const column = columnsWith(fine, NON_FINITE)?.first ?? 0;
    const sites = fine.sites.filter((site) => (fine.line(site)?.flags[column] ?? 0) & NON_FINITE);
    const step = fine.firstSteps[column];
    const end = await refined(grid, last, query, signal);
    const lastStep = end.lastSteps[columnsWith(end, NON_FINITE)?.last ?? 0];
    return [
      h("span", { class: "alarm" }, "NaN or inf"),
      " first at ",
      this.#step(step, fine.firstOrdinals[column]),
      " in ",
      this.#site(info.sites[sites.at(-1) ?? 0].label),
      sites.length > 1 ? ` and ${plural(sites.length - 1, "site")} before it` : "",
      lastStep > step ? `, last at step ${count(lastStep)}` : "",
    ];
  }

  /** @type {(grid: Grid, query: HeatmapQuery, signal: AbortSignal) => Promise<(string | Node)[]>} */
  async #largest(grid, { run, metric }, signal) {
    let best = { value: NaN, site: -1, column: -1 };
    for (const site of grid.sites) {
      grid.line(site)?.values.forEach((value, column) => {
        const larger = worse(best.value, value, isSigned(metric));
        if (larger !== best.value && !Number.isNaN(larger)) best = { value, site, column };
      });
    }
    if (best.site < 0) return [];
    const { from, to } = grid.span(best.column);
    const cell = await getCell({ run, metric, site: best.site, from, to }, signal);
    return [
      isSigned(metric) ? "largest change " : "highest ",
      h("strong", {}, metricValue(metric, figure(cell.metrics[metric]))),
      " at ",
      this.#step(cell.step, cell.ordinal),
      " in ",
      this.#site(cell.site),
    ];
  }

  /** @param {number} step @param {number} ordinal */
  #step(step, ordinal) {
    return h("button", { class: "link", onclick: () => this.app.openStep(ordinal) }, `step ${count(step)}`);
  }

  /** @param {string} label */
  #site(label) {
    return h("button", { class: "link", onclick: () => this.app.openSite(label) }, h("bdi", {}, label));
  }
}

/**
 * A grid of one column's single steps (as far as a request goes); `grid` itself where they are that already.
 * @type {(grid: Grid, column: number, query: HeatmapQuery, signal: AbortSignal) => Promise<Grid>}
 */
async function refined(grid, column, query, signal) {
  const { from, to } = grid.span(column);
  if (to - from === 1) return grid;
  return new Grid(await getHeatmap({ ...query, from, to, columns: MOST_COLUMNS }, signal));
}

/**
 * The first and the last column in which some site has a flag; null if none has.
 * @typedef {{first: number, last: number}} Ends
 * @type {(grid: Grid, flag: number) => Ends | null}
 */
function columnsWith(grid, flag) {
  let [first, last] = [Infinity, -1];
  grid.flags.forEach((flags, at) => {
    if (!(flags & flag)) return;
    first = Math.min(first, at % grid.columns);
    last = Math.max(last, at % grid.columns);
  });
  return last < 0 ? null : { first, last };
}
