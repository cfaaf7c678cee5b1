// The first view: sites down, steps across, one panel for each run. It owns what the panels share: the rows,
// the ranges in view, the colours, and the cell that the pointer or the keyboard is on.

import { Scale, suggestedLimits } from "../draw/colors.js";
import { isAbort } from "../model/api.js";
import { factorOf } from "../widgets/gestures.js";
import { Legend, paintLegend } from "../widgets/legend.js";
import { Summary } from "../widgets/summary.js";
import { CellCursor } from "./cell_cursor.js";
import { mapTable } from "./map_export.js";
import { MapPanel } from "./map_panel.js";
import { View } from "./view.js";

/** @import { Context, Size } from "../draw/axes.js" */
/** @import { RunInfo } from "../model/run_info.js" */
/** @import { Changed, State } from "../model/state.js" */
/** @import { Special } from "../model/grid.js" */
/** @import { Tab } from "./view.js" */

const LEGEND_TOP = -20; // of an exported picture

/** @extends {View<MapPanel>} */
export class MapView extends View {
  /** @param {Tab} app */
  constructor(app) {
    super(app, "map", ["steps", "rows"]);
    this.gutter.element.addEventListener("wheel", (event) => this.#wheelOnNames(event), { passive: false });
    this.legend = new Legend((limits) => app.store.set(limits));
    this.summary = new Summary(app);
    this.heading.append(this.summary.element, this.legend.element);
    this.scale = new Scale("", 0, 1, "light");
    this.cursor = new CellCursor(this);
  }

  /** @param {RunInfo} info */
  newPanel(info) {
    return new MapPanel(info);
  }

  /** @param {Changed | null} changed */
  update(changed) {
    /** @param {(keyof State)[]} keys */
    const any = (...keys) => changed === null || keys.some((key) => changed.has(key));
    if (any("run", "other", "kind", "metric")) return this.#reload();
    if (any("filter", "order", "collapsed")) this.#arrange();
    if (any("from", "to")) this.fetchSoon();
    this.drawSoon();
    return undefined;
  }

  resize() {
    this.#measure();
    this.draw();
    this.fetchSoon();
  }

  async #reload() {
    this.showPanels();
    this.#measure();
    this.element.setAttribute("aria-busy", "true");
    const results = await Promise.all(this.panels.map((panel) => panel.load(this.app.kind, this.state.metric)));
    if (results.includes("superseded")) return;
    this.element.removeAttribute("aria-busy");
    this.#arrange();
    this.#measure();
    this.draw();
    const [first] = this.panels;
    this.summary.show(first.info, first.layers.at(-1)?.grid ?? null, first.query);
    this.fetchSoon();
  }

  async fetch() {
    await Promise.all(
      this.panels.map(async (panel) => {
        try {
          if (!(await panel.refine(this.columns))) return;
          panel.arrange(this.layout, this.state.metric);
          this.draw();
          this.cursor.refresh();
        } catch (error) {
          if (!isAbort(error)) this.app.report(error);
        }
      }),
    );
    this.element.dataset.settled = JSON.stringify(this.columns);
  }

  #arrange() {
    const { order, metric } = this.state;
    /** @param {string} label */
    const badness = (label) => Math.max(...this.panels.map((panel) => panel.badness(label, metric)));
    this.arrangeRows({ order, badness });
    for (const panel of this.panels) panel.arrange(this.layout, metric);
    this.element.dataset.rows = String(this.layout.rows.length);
    this.cursor.clear();
    this.#measure();
  }

  #measure() {
    for (const panel of this.panels) panel.measure();
  }

  draw() {
    const { metric, low, high } = this.state;
    const theme = this.app.theme;
    const limits = this.panels.flatMap((panel) => panel.limits ?? []);
    const suggested = suggestedLimits(metric, limits);
    this.scale = new Scale(metric, low ?? suggested.low, high ?? suggested.high, theme.name);
    /** @param {Special} kind */
    const any = (kind) => this.panels.some((panel) => panel.special?.[kind]);
    this.legend.show(metric, this.scale, theme.name, low === null && high === null, {
      nonFinite: any("nonFinite"),
      missing: any("missing"),
      zero: any("zero"),
      undefined: any("undefined"),
    });
    for (const panel of this.panels) panel.paint(this.columns, this.rows, this.scale, metric, theme);
    const [first] = this.panels;
    if (first?.height > 0) this.drawGutter(first, first.height);
    this.cursor.paint();
  }

  // --- moving about ---------------------------------------------------------------------------

  /** @param {MapPanel} panel @param {number} x @param {number} y */
  pointAt(panel, x, y) {
    this.cursor.pointAt(panel, x, y);
  }

  leave() {
    this.cursor.leave();
  }

  /** @param {number} dx @param {number} dy @param {number} stride */
  move(dx, dy, stride) {
    this.cursor.move(dx * stride, dy * stride);
  }

  reset() {
    this.app.tooltip.hide();
    super.reset();
  }

  /** @param {WheelEvent} event */
  #wheelOnNames(event) {
    event.preventDefault();
    const [first] = this.panels;
    const y = event.clientY - first.canvas.getBoundingClientRect().top;
    this.zoomRows(factorOf(event.deltaY), this.rowAt(first, y));
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    if (event.key !== "Escape") return super.onKey(event);
    this.cursor.clear();
    return true;
  }

  // --- export ---------------------------------------------------------------------------------

  /** @param {Context} ctx @param {MapPanel} panel @param {Size} size */
  paintPanel(ctx, panel, size) {
    panel.copy(ctx, size, this.columns, this.app.theme);
    if (this.panels.length > 1) panel.writeName(ctx, this.app.theme);
  }

  /** @param {Context} ctx */
  paint(ctx) {
    super.paint(ctx);
    const { width } = this.element.getBoundingClientRect();
    paintLegend(ctx, width, LEGEND_TOP, this.state.metric, this.scale, this.app.theme);
  }

  table() {
    const { columns, rows, layout, state } = this;
    return mapTable(this.panels, columns, rows, layout.rows, state.metric);
  }
}
