// One line that sums up a run: its size, and the worst that happened in it, when and where.

import { ApiError, getCell, getHeatmap, figure, isAbort, Latest } from "../model/api.js";
import { count, metricValue, plural } from "../model/format.js";
import { Grid, NON_FINITE, worse } from "../model/grid.js";
import { isSigned } from "../draw/colors.js";
import { h } from "./dom.js";

const MOST_COLUMNS = 4096;

export class Summary {
  #latest = new Latest();

  constructor(app) {
    this.app = app;
    this.element = h("p", { class: "summary" });
  }

  /** Sums up the run of a map panel, whose whole grid is loaded. */
  async show(panel) {
    const { info } = panel;
    const grid = panel.layers.at(-1)?.grid;
    const size = `${info.summary} · ${plural(grid?.sites.length ?? 0, "site")}`;
    this.element.replaceChildren(size);
    if (!grid || grid.columns === 0) return;
    try {
      const worst = await this.#latest.run((signal) => this.#worst(info, grid, panel.query, signal));
      if (worst.length) this.element.replaceChildren(size, " · ", ...worst);
    } catch (error) {
      if (isAbort(error)) return;
      if (!(error instanceof ApiError)) throw error;
      this.element.replaceChildren(size, " · ", error.message);
    }
  }

  #worst(info, grid, query, signal) {
    const span = columnsWith(grid, NON_FINITE);
    return span ? this.#nonFinite(info, grid, query, span, signal) : this.#largest(info, grid, query, signal);
  }

  /** Where backward first met a NaN or inf: it runs from the last site to the first. */
  async #nonFinite(info, grid, query, { first, last }, signal) {
    const fine = await refined(grid, first, query, signal);
    const column = columnsWith(fine, NON_FINITE).first;
    const sites = fine.sites.filter((site) => fine.line(site).flags[column] & NON_FINITE);
    const step = fine.firstSteps[column];
    const end = await refined(grid, last, query, signal);
    const lastStep = end.lastSteps[columnsWith(end, NON_FINITE).last];
    return [
      h("span", { class: "alarm" }, "NaN or inf"),
      " first at ",
      this.#step(step, fine.firstOrdinals[column]),
      " in ",
      this.#site(info.sites[sites.at(-1)].label),
      sites.length > 1 ? ` and ${plural(sites.length - 1, "site")} before it` : "",
      lastStep > step ? `, last at step ${count(lastStep)}` : "",
    ];
  }

  async #largest(info, grid, { run, metric }, signal) {
    let best = { value: NaN };
    for (const site of grid.sites) {
      grid.line(site).values.forEach((value, column) => {
        const larger = worse(best.value, value, isSigned(metric));
        if (larger !== best.value && !Number.isNaN(larger)) best = { value, site, column };
      });
    }
    if (best.site === undefined) return [];
    const range = { from: grid.firstOrdinals[best.column], to: grid.lastOrdinals[best.column] + 1 };
    const cell = await getCell({ run, metric, site: best.site, ...range }, signal);
    return [
      isSigned(metric) ? "largest change " : "highest ",
      h("strong", {}, metricValue(metric, figure(cell.metrics[metric]))),
      " at ",
      this.#step(cell.step, cell.ordinal),
      " in ",
      this.#site(cell.site),
    ];
  }

  #step(step, ordinal) {
    return h("button", { class: "link", onclick: () => this.app.openStep(ordinal) }, `step ${count(step)}`);
  }

  #site(label) {
    return h("button", { class: "link", onclick: () => this.app.openSite(label) }, h("bdi", {}, label));
  }
}

/** A grid of one column's single steps (as far as a request goes); `grid` itself where they are that already. */
async function refined(grid, column, query, signal) {
  const { from, to } = grid.span(column);
  if (to - from === 1) return grid;
  return new Grid(await getHeatmap({ ...query, from, to, columns: MOST_COLUMNS }, signal));
}

/** The first and the last column in which some site has a flag; null if none has. */
function columnsWith(grid, flag) {
  let [first, last] = [Infinity, -1];
  grid.flags.forEach((flags, at) => {
    if (!(flags & flag)) return;
    first = Math.min(first, at % grid.columns);
    last = Math.max(last, at % grid.columns);
  });
  return last < 0 ? null : { first, last };
}
