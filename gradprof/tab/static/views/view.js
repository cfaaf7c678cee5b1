// What every view is made of: a panel for each run, the steps and rows in view, what the pointer and the keys
// do there, and a picture of it all. A view says what it shows; how one moves about in it is said here.

import { labelsOf, stepsOf } from "../model/compare.js";
import { arrange, toggled } from "../model/tree.js";
import { isWhole, pan, rangeOf, reveal, zoom } from "../model/viewport.js";
import { debounce, h, oncePerFrame, sizeCanvas } from "../widgets/dom.js";
import { listenToPointer } from "../widgets/gestures.js";
import { Gutter, gutterWidth, paintGutter } from "../widgets/gutter.js";

/** @import { Context, Size, Theme } from "../draw/axes.js" */
/** @import { RunInfo } from "../model/run_info.js" */
/** @import { Changed, State, Store } from "../model/state.js" */
/** @import { Layout, Options } from "../model/tree.js" */
/** @import { Range } from "../model/viewport.js" */
/** @import { Panel } from "../widgets/panel.js" */
/** @import { Pick, Tooltip } from "../widgets/tooltip.js" */
/** @typedef {"steps" | "rows"} Axis */
/**
 * The tab, as a view needs it.
 * @typedef {object} Tab
 * @property {Store} store
 * @property {RunInfo[]} infos of the runs shown
 * @property {string} kind
 * @property {Theme} theme
 * @property {Tooltip} tooltip
 * @property {(label: string) => void} openSite
 * @property {(ordinal: number) => void} openStep
 * @property {() => void} back
 * @property {(error: unknown) => void} report
 */

const REFINE_MS = 120;
const LEAST = { steps: 4, rows: 3, width: 80, height: 60 }; // in view, and CSS pixels of a picture
const ZOOM = 0.7; // by a key
const WHOLE = { steps: { from: null, to: null }, rows: { top: null, bottom: null } };
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @template {Panel} P */
export class View {
  drawSoon = oncePerFrame(() => this.draw());
  fetchSoon = debounce(() => this.fetch(), REFINE_MS);
  /** @type {P[]} */
  panels = [];
  /** @type {Layout} */
  layout = { rows: [], strips: [], levels: 0 };
  /** What the figures are of, and where the keys go on from. @type {Pick | null} */
  picked = null;
  /** Of a panel's picture, where no steps are. */
  frame = { left: 0, right: 0 };
  heading = h("div", { class: "heading" });

  /** @param {Tab} app @param {string} name @param {Axis[]} axes that can be zoomed and moved */
  constructor(app, name, axes) {
    this.app = app;
    this.axes = axes;
    this.gutter = new Gutter({
      open: (row) => app.openSite(row.sites[0]),
      toggle: (path) => app.store.set({ collapsed: toggled(this.state.collapsed, path), ...WHOLE.rows }),
    });
    this.element = h("div", { class: `${name}-view` });
    this.body = axes.includes("rows") ? h("div", { class: "panels" }) : this.element;
    if (this.body !== this.element) this.element.append(this.gutter.element, this.body);
  }

  // --- what a view says of itself -------------------------------------------------------------

  /** A panel for a run. @type {(info: RunInfo) => P} */
  newPanel() {
    throw new Error("a view makes its own panels");
  }

  /** Whether a panel goes on showing its run. @type {(panel: P) => boolean} */
  keeps() {
    return true;
  }

  /** Follows the state; null at first, or when there are new steps. @type {(changed: Changed | null) => void} */
  update() {}

  /** Reads what is in view. @returns {Promise<void>} */
  async fetch() {}

  /** Draws one panel's picture, and what belongs below it. @type {(ctx: Context, panel: P, size: Size) => void} */
  paintPanel() {}

  /** The pointer is at x, y of a panel. @type {(panel: P, x: number, y: number) => void} */
  pointAt() {}

  /** An arrow was pressed. @type {(dx: number, dy: number, stride: number) => void} */
  move() {}

  /** The numbers of this view, under a line of names. @returns {(string | number)[][]} */
  table() {
    return [];
  }

  // --- what is shown --------------------------------------------------------------------------

  /** @returns {State} */
  get state() {
    return this.app.store.state;
  }

  /** How many steps the axis has. */
  get steps() {
    return stepsOf(this.app.infos);
  }

  /** The steps in view. */
  get columns() {
    return rangeOf(this.state.from, this.state.to, this.steps);
  }

  /** The rows in view. */
  get rows() {
    return rangeOf(this.state.top, this.state.bottom, Math.max(1, this.layout.rows.length));
  }

  /** The panels that have room for a picture. */
  get roomy() {
    return this.panels.filter(({ size }) => size.width >= LEAST.width && size.height >= LEAST.height);
  }

  resize() {
    this.drawSoon();
  }

  close() {
    this.fetchSoon.cancel();
    for (const panel of this.panels) panel.close();
  }

  /** Shows a panel for each run, those that are there already among them. */
  showPanels() {
    const before = this.panels;
    this.panels = this.app.infos.map((info) => {
      const kept = before.find((panel) => panel.info.run === info.run && this.keeps(panel));
      const panel = kept ?? this.#listenTo(this.newPanel(info));
      panel.info = info;
      return panel;
    });
    for (const panel of before) if (!this.panels.includes(panel)) panel.close();
    this.body.replaceChildren(...this.panels.map((panel) => panel.element));
    this.body.classList.toggle("compared", this.panels.length > 1);
  }

  /** Makes rows of the sites. @param {Options} [options] in which order */
  arrangeRows(options) {
    const { collapsed, filter } = this.state;
    const kind = this.app.kind;
    this.layout = arrange(labelsOf(this.app.infos, kind), { collapsed, filter, kind, ...options });
    this.element.style.setProperty("--gutter", `${gutterWidth(this.layout)}px`);
  }

  draw() {
    for (const panel of this.roomy) {
      const { width, height } = panel.size;
      this.paintPanel(sizeCanvas(panel.canvas, width, height), panel, { width, height });
    }
  }

  /** Puts the names beside a panel of this height. @param {P} panel @param {number} height */
  drawGutter(panel, height) {
    this.gutter.show(this.layout, this.rows, height);
    const top = panel.frame.getBoundingClientRect().top - this.element.getBoundingClientRect().top;
    this.gutter.element.style.marginTop = `${top}px`;
  }

  /** Draws what is shown, where it stands on the page, on the canvas of a picture to be saved. @param {Context} ctx */
  paint(ctx) {
    const origin = this.element.getBoundingClientRect();
    for (const panel of this.panels) {
      const box = panel.canvas.getBoundingClientRect();
      const x = box.left - origin.left;
      ctx.save();
      ctx.translate(0, box.top - origin.top);
      if (panel === this.panels[0] && this.axes.includes("rows"))
        paintGutter(ctx, this.layout, this.rows, x, box.height, this.app.theme);
      ctx.translate(x, 0);
      this.paintPanel(ctx, panel, box);
      ctx.restore();
    }
  }

  // --- zoom and pan ---------------------------------------------------------------------------

  /** The ordinal at x of a panel. @param {P} panel @param {number} x */
  ordinalAt(panel, x) {
    const { from, to } = this.columns;
    const width = panel.canvas.getBoundingClientRect().width - this.frame.left - this.frame.right;
    return from + ((x - this.frame.left) / width) * (to - from);
  }

  /** The row at y of a panel, with its fraction. @param {P} panel @param {number} y */
  rowAt(panel, y) {
    const { from, to } = this.rows;
    return from + (y / panel.canvas.getBoundingClientRect().height) * (to - from);
  }

  /** @param {number} factor @param {number} [at] */
  zoomSteps(factor, at = (this.columns.from + this.columns.to) / 2) {
    this.showColumns(zoom(this.columns, factor, at, this.steps, LEAST.steps));
  }

  /** @param {number} factor @param {number} [at] */
  zoomRows(factor, at = (this.rows.from + this.rows.to) / 2) {
    this.showRows(zoom(this.rows, factor, at, this.layout.rows.length, LEAST.rows));
  }

  /** Zooms by a key. @param {number} factor */
  zoomBy(factor) {
    this.zoomSteps(factor, this.picked?.from);
  }

  /** @param {Range} range */
  showColumns({ from, to }) {
    this.app.store.set(isWhole({ from, to }, this.steps) ? WHOLE.steps : { from, to });
  }

  /** @param {Range} range */
  showRows({ from, to }) {
    const whole = isWhole({ from, to }, this.layout.rows.length);
    this.app.store.set(whole ? WHOLE.rows : { top: from, bottom: to });
  }

  /** Moves the steps in view so that one is among them. @param {number} ordinal */
  revealStep(ordinal) {
    const moved = reveal(this.columns, ordinal, this.steps);
    if (moved) this.showColumns(moved);
  }

  /** Moves the rows in view so that one is among them. @param {number} row */
  revealRow(row) {
    const moved = reveal(this.rows, row, this.layout.rows.length);
    if (moved) this.showRows(moved);
  }

  /** Shows everything. */
  reset() {
    this.app.store.set(Object.assign({}, ...this.axes.map((axis) => WHOLE[axis])));
  }

  // --- the pointer ----------------------------------------------------------------------------

  /** @param {P} panel */
  #listenTo(panel) {
    listenToPointer(panel.canvas, {
      zoom: (axis, factor, x, y) => {
        const along = this.axes.includes(axis) ? axis : this.axes[0];
        if (along === "rows") this.zoomRows(factor, this.rowAt(panel, y));
        else this.zoomSteps(factor, this.ordinalAt(panel, x));
      },
      pan: (dx, dy) => this.#pan(panel, dx, dy),
      hover: (x, y) => {
        if (!this.app.tooltip.pinned) this.pointAt(panel, x, y);
      },
      leave: () => this.leave(),
      click: (x, y) => {
        this.app.tooltip.hide();
        this.pointAt(panel, x, y);
        if (!this.app.tooltip.element.hidden) this.app.tooltip.pin();
      },
      reset: () => this.reset(),
    });
    return panel;
  }

  /** @param {P} panel @param {number} dx @param {number} dy */
  #pan(panel, dx, dy) {
    const steps = this.ordinalAt(panel, 0) - this.ordinalAt(panel, dx);
    const rows = this.rowAt(panel, 0) - this.rowAt(panel, dy);
    if (this.axes.includes("steps")) this.showColumns(pan(this.columns, steps, this.steps));
    if (this.axes.includes("rows")) this.showRows(pan(this.rows, rows, this.layout.rows.length));
  }

  /**
   * Puts a panel's cursor on what was picked in it, and the figures at x, y.
   * @type {(panel: P, pick: Pick, cursor: Record<string, string>, x: number, y: number) => void}
   */
  show(panel, pick, cursor, x, y) {
    this.picked = pick;
    for (const other of this.panels) other.cursor.hidden = other !== panel;
    Object.assign(panel.cursor.style, cursor);
    const box = panel.canvas.getBoundingClientRect();
    this.app.tooltip.show(pick, { x: box.left + x, y: box.top + y });
  }

  /** Takes cursor and figures away, unless they are to stay. */
  leave() {
    if (this.app.tooltip.pinned) return;
    for (const panel of this.panels) panel.cursor.hidden = true;
    this.gutter.mark(-1);
    this.app.tooltip.hide();
  }

  // --- keys -----------------------------------------------------------------------------------

  /** The keys of this view; whether it was one. @param {KeyboardEvent} event @returns {boolean} */
  onKey({ key, shiftKey }) {
    const { view } = this.state;
    if (key in ARROWS) this.move(...ARROWS[key], shiftKey ? 10 : 1);
    else if (key === "+" || key === "=") this.zoomBy(ZOOM);
    else if (key === "-") this.zoomBy(1 / ZOOM);
    else if (key === "0") this.reset();
    else if (key === "Enter" && this.picked && view !== "site") this.app.openSite(this.picked.site);
    else if (key === "s" && this.picked && view !== "step")
      this.app.openStep(this.app.tooltip.worstOrdinal ?? this.picked.from);
    else return false;
    return true;
  }
}
