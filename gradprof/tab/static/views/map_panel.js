// The heat map of one run: its grids (the whole run, and a finer one of what is in view), its canvas and
// the axis below it.

import { getHeatmap, Latest } from "../model/api.js";
import { Grid, NON_FINITE } from "../model/grid.js";
import { drawStepAxis, FONT, stepTicks } from "../draw/axes.js";
import { isSigned } from "../draw/colors.js";
import { paintMap, worstCell } from "../draw/heatmap.js";
import { h, sizeCanvas } from "../widgets/dom.js";
import { Panel } from "../widgets/panel.js";

/** @import { Context, Size, Theme } from "../draw/axes.js" */
/** @import { Scale } from "../draw/colors.js" */
/** @import { Layer } from "../draw/heatmap.js" */
/** @import { Limits } from "../draw/plot.js" */
/** @import { HeatmapQuery } from "../model/api.js" */
/** @import { Special } from "../model/grid.js" */
/** @import { RunInfo } from "../model/run_info.js" */
/** @import { Layout, Row } from "../model/tree.js" */
/** @import { Range } from "../model/viewport.js" */
/** @import { Pick } from "../widgets/tooltip.js" */

export const AXIS_HEIGHT = 24;
const MARGIN = 0.25; // of the range in view, fetched on either side so that panning finds it there
const MOST_COLUMNS = 4096;

export class MapPanel extends Panel {
  #fine = new Latest();

  /** @param {RunInfo} info */
  constructor(info) {
    const axis = h("canvas", { class: "axis", "aria-hidden": "true" });
    super(info, { kind: "map", label: `Heat map of the run ${info.run}` }, axis);
    this.axis = axis;
    /** @type {Layer[]} */
    this.layers = []; // the finest first
    /** @type {Limits | null} */
    this.limits = null; // suggested for the colours
    /** @type {Record<Special, boolean> | null} */
    this.special = null; // which cells there are that are no plain number
    /** @type {Set<number>} */
    this.ends = new Set(); // rows that end a group
    /** @type {HeatmapQuery} */
    this.query = { run: info.run, kind: "all", metric: "" };
    this.width = this.height = 0;
  }

  /** Reads the whole run; what is shown stays until the answer is there. @param {string} kind @param {string} metric */
  async load(kind, metric) {
    this.query = { run: this.info.run, kind, metric };
    this.#fine.cancel();
    const query = { ...this.query, columns: this.#pixels() };
    const outcome = await this.attempt(async () => {
      const grid = new Grid(await this.latest.run((signal) => getHeatmap(query, signal)));
      this.layers = [{ grid, lines: [] }];
      this.limits = grid.limits();
      this.special = grid.special();
    });
    if (outcome === "failed") this.layers = [];
    return outcome;
  }

  /** Reads what is in view at a finer level, if there is one. Resolves to whether there was. @param {Range} columns */
  async refine({ from, to }) {
    const coarse = this.layers.at(-1)?.grid;
    if (!coarse || coarse.columns === 0 || coarse.columns >= this.info.n) return false;
    const margin = (to - from) * MARGIN;
    const wanted = {
      from: Math.max(0, Math.floor(from - margin)),
      to: Math.min(this.info.n, Math.ceil(to + margin)),
      columns: Math.min(MOST_COLUMNS, Math.ceil(this.#pixels() * (1 + 2 * MARGIN))),
    };
    const perColumn = (coarse.to - coarse.from) / coarse.columns;
    if (wanted.to <= wanted.from || perColumn <= (wanted.to - wanted.from) / wanted.columns) return false;
    const reply = await this.#fine.run((signal) => getHeatmap({ ...this.query, ...wanted }, signal));
    this.layers = [{ grid: new Grid(reply), lines: [] }, ...this.layers.slice(-1)];
    return true;
  }

  close() {
    super.close();
    this.#fine.cancel();
  }

  /** Takes the size that there is for the picture. */
  measure() {
    ({ width: this.width, height: this.height } = this.size);
  }

  /** Gives every layer the lines of the rows. @param {Layout} layout @param {string} metric */
  arrange({ rows, strips }, metric) {
    this.ends = new Set(strips.flatMap(({ first, last }) => [first - 1, last]));
    for (const layer of this.layers) {
      layer.lines = rows.map((row) => layer.grid.worstOf(this.#indices(row), isSigned(metric)));
    }
  }

  /** @type {(columns: Range, rows: Range, scale: Scale, metric: string, theme: Theme) => void} */
  paint(columns, rows, scale, metric, theme) {
    if (this.width < 1 || this.height < 1) return;
    const ctx = sizeCanvas(this.canvas, this.width, this.height);
    const { width, height } = this.canvas;
    const image = ctx.createImageData(width, height);
    const style = {
      scale,
      theme: theme.name,
      signed: isSigned(metric),
      ratio: width / this.width,
      ends: this.ends,
    };
    paintMap(image, this.layers, columns, rows, style);
    ctx.putImageData(image, 0, 0);
    drawStepAxis(
      sizeCanvas(this.axis, this.width, AXIS_HEIGHT),
      0,
      0,
      this.width,
      this.ticks(columns),
      theme,
    );
  }

  /**
   * Draws the picture and its axis on another canvas.
   * @type {(ctx: Context, size: Size, columns: Range, theme: Theme) => void}
   */
  copy(ctx, { width, height }, columns, theme) {
    ctx.drawImage(this.canvas, 0, 0, width, height);
    drawStepAxis(ctx, 0, height, width, this.ticks(columns), theme);
  }

  /** Writes the run's name above the copy. @param {Context} ctx @param {Theme} theme */
  writeName(ctx, theme) {
    ctx.font = `600 ${FONT}`;
    ctx.textAlign = "left";
    ctx.textBaseline = "bottom";
    ctx.fillStyle = theme.ink;
    ctx.fillText(this.info.run, 0, -4);
  }

  /** @param {Range} columns */
  ticks(columns) {
    const shown = { from: columns.from, to: Math.min(columns.to, this.info.n) };
    const width = (this.width * (shown.to - shown.from)) / (columns.to - columns.from);
    return stepTicks(shown, width, (ordinal) => this.#layerAt(ordinal)?.grid.stepAt(ordinal) ?? NaN);
  }

  /**
   * What lies at an ordinal in a row: the local value, and the steps that it stands for.
   * @param {number} ordinal @param {Row | undefined} row @param {number} rowIndex @param {string} metric
   * @param {number} perPixel @returns {Pick | null}
   */
  pick(ordinal, row, rowIndex, metric, perPixel) {
    const layer = this.#layerAt(ordinal);
    if (!layer || !row) return null;
    const grid = layer.grid;
    const c0 = grid.columnAt(Math.floor(ordinal));
    const c1 = Math.max(c0, grid.columnAt(Math.floor(ordinal + Math.max(0, perPixel - 1))));
    const { value, flags } = worstCell(
      { layer, c0, c1 },
      { r0: rowIndex, r1: rowIndex + 1 },
      isSigned(metric),
    );
    return {
      info: this.info,
      site: this.#worstMember(grid, row, c0, metric),
      metric,
      value,
      flags,
      ...grid.span(c0, c1),
    };
  }

  /** @type {(grid: Grid, row: Row, column: number, metric: string) => string} */
  #worstMember(grid, row, column, metric) {
    let best = {
      site: row.sites.find((site) => this.info.indexOf.has(site)) ?? row.sites[0],
      badness: -Infinity,
    };
    for (const site of row.sites) {
      const line = grid.line(this.info.indexOf.get(site));
      if (!line) continue;
      const badness = badnessOf(line.values[column], line.flags[column], metric);
      if (badness > best.badness) best = { site, badness };
    }
    return best.site;
  }

  /**
   * How bad a site is over the whole run, to order by: non-finite before everything.
   * @type {(label: string, metric: string) => number}
   */
  badness(label, metric) {
    const line = this.layers.at(-1)?.grid.line(this.info.indexOf.get(label));
    if (!line) return -Infinity;
    return line.values.reduce(
      (worst, value, i) => Math.max(worst, badnessOf(value, line.flags[i], metric)),
      -Infinity,
    );
  }

  /** @param {number} ordinal */
  #layerAt(ordinal) {
    return this.layers.find(({ grid }) => grid.columnAt(Math.floor(ordinal)) >= 0);
  }

  /** @param {Row} row */
  #indices(row) {
    return row.sites.map((site) => this.info.indexOf.get(site)).filter((index) => index !== undefined);
  }

  #pixels() {
    return Math.min(MOST_COLUMNS, Math.max(64, Math.round(this.width * (window.devicePixelRatio || 1))));
  }
}

/** @param {number} value @param {number} flags @param {string} metric */
function badnessOf(value, flags, metric) {
  if (flags & NON_FINITE) return Infinity;
  if (Number.isNaN(value)) return -Infinity;
  return isSigned(metric) ? Math.abs(value) : value;
}
