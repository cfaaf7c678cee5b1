// The first view: sites down, steps across, one panel for each run. It owns what the panels share: the rows,
// the ranges in view, the colours, and the cell that the pointer or the keyboard is on.

import { ApiError, isAbort } from "../model/api.js";
import { labelsOf, stepsOf } from "../model/compare.js";
import { arrange, toggled } from "../model/tree.js";
import { isWhole, pan, rangeOf, zoom } from "../model/viewport.js";
import { Scale, suggestedLimits } from "../draw/colors.js";
import { debounce, h, oncePerFrame } from "../widgets/dom.js";
import { listenToPointer } from "../widgets/gestures.js";
import { Gutter, gutterWidth } from "../widgets/gutter.js";
import { Legend } from "../widgets/legend.js";
import { Summary } from "../widgets/summary.js";
import { CellCursor } from "./cell_cursor.js";
import { mapTable, paintMapView } from "./map_export.js";
import { MapPanel } from "./map_panel.js";

const REFINE_MS = 120;
const LEAST_STEPS = 4;
const LEAST_ROWS = 3;

export class MapView {
  #paintSoon = oncePerFrame(() => this.#paint());
  #refineSoon = debounce(() => this.#refine(), REFINE_MS);

  constructor(app) {
    this.app = app;
    this.layout = { rows: [], strips: [], levels: 0 };
    this.gutter = new Gutter({
      open: (row) => app.openSite(row.sites[0]),
      toggle: (path) => this.#toggle(path),
    });
    this.gutter.element.addEventListener("wheel", (event) => this.#wheelOnNames(event), { passive: false });
    this.legend = new Legend((limits) => app.store.set(limits));
    this.summary = new Summary(app);
    this.heading = h("div", { class: "heading" }, this.summary.element, this.legend.element);
    this.body = h("div", { class: "panels" });
    this.element = h("div", { class: "map-view" }, this.gutter.element, this.body);
    this.panels = [];
    this.cursor = new CellCursor(this);
  }

  get state() {
    return this.app.store.state;
  }

  /** The steps and rows in view. */
  get columns() {
    return rangeOf(this.state.from, this.state.to, stepsOf(this.app.infos));
  }

  get rows() {
    return rangeOf(this.state.top, this.state.bottom, Math.max(1, this.layout.rows.length));
  }

  /** Follows the state; null for a first time, or when there are new steps. */
  update(changed) {
    const any = (...keys) => changed === null || keys.some((key) => changed.has(key));
    if (any("run", "other", "kind", "metric")) return this.#reload();
    if (any("filter", "order", "collapsed")) this.#arrange();
    if (any("from", "to")) this.#refineSoon();
    this.#paintSoon();
    return undefined;
  }

  resize() {
    this.#measure();
    this.#paint();
    this.#refineSoon();
  }

  close() {
    this.#refineSoon.cancel();
    this.panels.forEach((panel) => panel.close());
  }

  async #reload() {
    const kept = new Map(this.panels.map((panel) => [panel.info.run, panel]));
    this.panels = this.app.infos.map((info) => {
      const panel = kept.get(info.run) ?? this.#newPanel(info);
      panel.info = info;
      kept.delete(info.run);
      return panel;
    });
    kept.forEach((panel) => panel.close());
    this.body.replaceChildren(...this.panels.map((panel) => panel.element));
    this.body.classList.toggle("compared", this.panels.length > 1);
    this.#measure();
    this.element.setAttribute("aria-busy", "true");
    const results = await Promise.all(this.panels.map((panel) => this.#loadPanel(panel)));
    if (results.includes("superseded")) return;
    this.element.removeAttribute("aria-busy");
    this.#arrange();
    this.#measure();
    this.#paint();
    const [first] = this.panels;
    this.summary.show(first.info, first.layers.at(-1)?.grid ?? null, first.query);
    this.#refineSoon();
  }

  async #loadPanel(panel) {
    try {
      await panel.load(this.app.kind, this.state.metric);
      panel.fail(null);
      return "loaded";
    } catch (error) {
      if (isAbort(error)) return "superseded";
      if (!(error instanceof ApiError)) throw error;
      panel.layers = [];
      panel.fail(error.message);
      return "failed";
    }
  }

  async #refine() {
    await Promise.all(
      this.panels.map(async (panel) => {
        try {
          if (!(await panel.refine(this.columns))) return;
          panel.arrange(this.layout, this.state.metric);
          this.#paint();
          this.cursor.refresh();
        } catch (error) {
          if (!isAbort(error)) this.app.report(error);
        }
      }),
    );
    this.element.dataset.settled = JSON.stringify(this.columns);
  }

  #newPanel(info) {
    const panel = new MapPanel(info);
    listenToPointer(panel.canvas, {
      zoom: (axis, factor, x, y) => this.#zoomAt(panel, axis, factor, x, y),
      pan: (dx, dy) => this.#panBy(panel, dx, dy),
      hover: (x, y) => this.cursor.hover(panel, x, y),
      leave: () => this.cursor.leave(),
      click: (x, y) => this.cursor.click(panel, x, y),
      reset: () => this.reset(),
    });
    return panel;
  }

  #arrange() {
    const { collapsed, filter, order, metric } = this.state;
    const badness = (label) => Math.max(...this.panels.map((panel) => panel.badness(label, metric)));
    const kind = this.app.kind;
    this.layout = arrange(labelsOf(this.app.infos, kind), { collapsed, filter, order, badness, kind });
    for (const panel of this.panels) panel.arrange(this.layout, metric);
    this.element.style.setProperty("--gutter", `${gutterWidth(this.layout)}px`);
    this.element.dataset.rows = this.layout.rows.length;
    this.cursor.clear();
    this.#measure();
  }

  #measure() {
    for (const panel of this.panels) panel.measure();
  }

  #paint() {
    const { metric, low, high } = this.state;
    const theme = this.app.theme;
    const suggested = suggestedLimits(
      metric,
      this.panels.flatMap(({ limits }) => limits ?? []),
    );
    this.scale = new Scale(metric, low ?? suggested.low, high ?? suggested.high, theme.name);
    const special = (kind) => this.panels.some((panel) => panel.special[kind]);
    const present = Object.fromEntries(
      ["nonFinite", "missing", "zero", "undefined"].map((kind) => [kind, special(kind)]),
    );
    this.legend.show(metric, this.scale, theme.name, low === null && high === null, present);
    for (const panel of this.panels) panel.paint(this.columns, this.rows, this.scale, metric, theme);
    const height = this.panels[0]?.height ?? 0;
    if (height > 0) this.gutter.show(this.layout, this.rows, height);
    const { top } = this.panels[0]?.canvas.parentElement.getBoundingClientRect() ?? { top: 0 };
    this.gutter.element.style.marginTop = `${top - this.element.getBoundingClientRect().top}px`;
    this.cursor.paint();
  }

  // --- zoom and pan ---------------------------------------------------------------------------

  #zoomAt(panel, axis, factor, x, y) {
    if (axis === "rows")
      return this.zoomRows(factor, this.rows.from + (y / panel.height) * (this.rows.to - this.rows.from));
    const { from, to } = this.columns;
    return this.zoomSteps(factor, from + (x / panel.width) * (to - from));
  }

  zoomSteps(factor, at = (this.columns.from + this.columns.to) / 2) {
    this.showColumns(zoom(this.columns, factor, at, stepsOf(this.app.infos), LEAST_STEPS));
  }

  zoomRows(factor, at = (this.rows.from + this.rows.to) / 2) {
    this.showRows(zoom(this.rows, factor, at, this.layout.rows.length, LEAST_ROWS));
  }

  reset() {
    this.app.tooltip.hide();
    this.app.store.set({ from: null, to: null, top: null, bottom: null });
  }

  #panBy(panel, dx, dy) {
    const [columns, rows] = [this.columns, this.rows];
    this.showColumns(
      pan(columns, (-dx / panel.width) * (columns.to - columns.from), stepsOf(this.app.infos)),
    );
    this.showRows(pan(rows, (-dy / panel.height) * (rows.to - rows.from), this.layout.rows.length));
  }

  #wheelOnNames(event) {
    event.preventDefault();
    const box = this.panels[0].canvas.getBoundingClientRect();
    const factor = Math.exp(Math.max(-240, Math.min(240, event.deltaY)) * 0.0025);
    this.#zoomAt(this.panels[0], "rows", factor, 0, event.clientY - box.top);
  }

  showColumns(range) {
    const whole = isWhole(range, stepsOf(this.app.infos));
    this.app.store.set(whole ? { from: null, to: null } : { from: range.from, to: range.to });
  }

  showRows(range) {
    const whole = isWhole(range, this.layout.rows.length);
    this.app.store.set(whole ? { top: null, bottom: null } : { top: range.from, bottom: range.to });
  }

  #toggle(path) {
    const collapsed = toggled(this.state.collapsed, path);
    this.app.store.set({ collapsed, top: null, bottom: null });
  }

  // --- keys ---------------------------------------------------------------------------------

  /** The keys of this view; whether it was one. */
  onKey(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const stride = event.shiftKey ? 10 : 1;
    const { picked } = this.cursor;
    if (event.key in moves) this.cursor.move(...moves[event.key].map((d) => d * stride));
    else if (event.key === "+" || event.key === "=") this.zoomSteps(0.7, picked?.from);
    else if (event.key === "-") this.zoomSteps(1 / 0.7, picked?.from);
    else if (event.key === "0") this.reset();
    else if (event.key === "Enter" && picked) this.app.openSite(picked.site);
    else if (event.key === "s" && picked) this.app.openStep(this.app.tooltip.worstOrdinal ?? picked.from);
    else if (event.key === "Escape") this.cursor.clear();
    else return false;
    return true;
  }

  // --- export -------------------------------------------------------------------------------

  paint(ctx) {
    paintMapView(ctx, this);
  }

  table() {
    return mapTable(this);
  }
}
