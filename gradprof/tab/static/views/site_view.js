// An opened site, for each run shown: its picture, redrawn at once while finer data are fetched.

import { stepTicks } from "../draw/axes.js";
import { decades } from "../draw/plot.js";
import { drawSite, FRAME, linesOf, scalesOf, SiteData } from "../draw/site_picture.js";
import { getSite } from "../model/api.js";
import { labelsOf } from "../model/compare.js";
import { MISSING, NON_FINITE } from "../model/grid.js";
import { isWhole } from "../model/viewport.js";
import { backButton } from "../widgets/controls.js";
import { h } from "../widgets/dom.js";
import { Panel } from "../widgets/panel.js";
import { siteTable } from "./site_export.js";
import { View } from "./view.js";

/** @import { Context, Size } from "../draw/axes.js" */
/** @import { RunInfo } from "../model/run_info.js" */
/** @import { Changed } from "../model/state.js" */
/** @import { Tab } from "./view.js" */

class SitePanel extends Panel {
  /** Of what is in view. @type {SiteData | null} */
  data = null;
  /** Of the whole run. @type {SiteData | null} */
  whole = null;

  /** @param {RunInfo} info @param {string} site */
  constructor(info, site) {
    super(info, { kind: "site", label: `Gradients of ${site} over the run`, cursor: "line" });
    this.site = site;
  }
}

/** @extends {View<SitePanel>} */
export class SiteView extends View {
  frame = FRAME;

  /** @param {Tab} app */
  constructor(app) {
    super(app, "site", ["steps"]);
    this.title = h("h2", {}, "");
    this.detail = h("span", { class: "muted" });
    this.key = h("span", { class: "keys" });
    /** @param {number} direction @param {string} text @param {string} title */
    const neighbour = (direction, text, title) =>
      h("button", { title, "aria-label": title, onclick: () => this.#openNeighbour(direction) }, text);
    const ways = [neighbour(-1, "‹", "The site above (↑)"), neighbour(1, "›", "The site below (↓)")];
    const trail = h("div", { class: "trail" }, backButton(app), ways, this.title, this.detail);
    this.heading.append(trail, this.key);
  }

  /** @param {RunInfo} info */
  newPanel(info) {
    return new SitePanel(info, this.state.site);
  }

  /** @param {SitePanel} panel */
  keeps(panel) {
    return panel.site === this.state.site;
  }

  /** @param {Changed | null} changed */
  update(changed) {
    if (changed === null || changed.has("run") || changed.has("other") || changed.has("site")) this.#rebuild();
    else if (changed.has("from") || changed.has("to")) this.fetchSoon();
    this.drawSoon();
  }

  resize() {
    super.resize();
    this.fetchSoon();
  }

  #rebuild() {
    const { site } = this.state;
    this.showPanels();
    this.title.replaceChildren(h("bdi", {}, site));
    this.detail.textContent = this.app.infos[0].shapeOf(site);
    this.fetch();
  }

  async fetch() {
    const { site } = this.state;
    await Promise.all(this.panels.map((panel) => panel.attempt(() => this.#read(panel))));
    this.drawSoon();
    this.element.dataset.settled = `${site} ${JSON.stringify(this.columns)}`;
  }

  /** @param {SitePanel} panel @returns {Promise<string | void>} */
  async #read(panel) {
    const { info, site } = panel;
    const index = info.indexOf.get(site);
    if (index === undefined) return `This run has no site ${site}.`;
    const whole = isWhole(this.columns, this.steps);
    const [from, to] = [Math.floor(this.columns.from), Math.min(info.n, Math.ceil(this.columns.to))];
    if (!whole && to <= from) return undefined;
    const query = { run: info.run, site: index, columns: Math.round(panel.frame.clientWidth) || 800 };
    const reply = await panel.latest.run((signal) => getSite(whole ? query : { ...query, from, to }, signal));
    panel.data = new SiteData(reply);
    if (whole || !panel.whole) panel.whole = panel.data;
    return undefined;
  }

  /** The powers of ten that all panels span, the threshold among them. */
  get powers() {
    const data = this.panels.flatMap((panel) => [panel.whole, panel.data]);
    const values = data.flatMap((part) => (part ? [...part.of.abs_max, ...part.of.abs_min] : []));
    return decades([...values, Math.log10(this.app.infos[0].threshold)]);
  }

  draw() {
    super.draw();
    const keys = linesOf(this.app.theme).map(({ title, color, width }) => {
      const sample = h("i", { class: "stroke", style: `border-top:${width}px solid ${color}` });
      return h("span", { class: "key" }, sample, title);
    });
    this.key.replaceChildren(...keys);
  }

  /** @param {Context} ctx @param {SitePanel} panel @param {Size} size */
  paintPanel(ctx, panel, size) {
    if (!panel.data) return;
    const { columns, powers } = this;
    const shown = { from: columns.from, to: Math.min(columns.to, panel.info.n) };
    const inside = size.width - FRAME.left - FRAME.right;
    const width = (inside * (shown.to - shown.from)) / (columns.to - columns.from);
    const data = panel.data.covers(shown) ? panel.data : (panel.whole ?? panel.data);
    const ticks = stepTicks(shown, width, (ordinal) => data.stepAt(ordinal));
    const { threshold } = panel.info;
    drawSite(ctx, size, data, { columns, powers, ticks, threshold, theme: this.app.theme });
  }

  // --- the step under the pointer or the keyboard's cursor ------------------------------------

  /** @param {SitePanel} panel @param {number} x @param {number} y */
  pointAt(panel, x, y) {
    this.#point(panel, Math.floor(this.ordinalAt(panel, x)), y);
  }

  /** @param {SitePanel} panel @param {number} ordinal @param {number} [y] */
  #point(panel, ordinal, y = 80) {
    const data = [panel.data, panel.whole].find((part) => part && part.columnAt(ordinal) >= 0);
    if (!data) return this.leave();
    const { info, site } = panel;
    const column = data.columnAt(ordinal);
    const flags = (data.has(column) ? 0 : MISSING) | (data.of.non_finite[column] > 0 ? NON_FINITE : 0);
    const local = { info, site, metric: "log10_abs_max", value: data.of.abs_max[column], flags };
    const span = data.span(column);
    const { width, height } = panel.canvas.getBoundingClientRect();
    const { x } = scalesOf(this.columns, { low: 0, high: 1 }, width, height);
    const middle = (x(span.from) + x(span.to)) / 2;
    const cursor = { left: `${middle}px`, top: `${FRAME.top}px`, bottom: `${FRAME.bottom}px` };
    return this.show(panel, { ...local, ...span }, cursor, middle, y);
  }

  /** @param {number} dx @param {number} dy */
  move(dx, dy) {
    if (dx) this.#moveCursor(dx);
    else this.#openNeighbour(dy);
  }

  /** @param {number} direction */
  #moveCursor(direction) {
    const [panel] = this.panels;
    const middle = Math.floor((this.columns.from + this.columns.to) / 2);
    const next = this.picked ? (direction > 0 ? this.picked.to : this.picked.from - 1) : middle;
    const ordinal = Math.max(0, Math.min(panel.info.n - 1, next));
    this.revealStep(ordinal);
    this.app.tooltip.hide();
    this.#point(panel, ordinal);
  }

  /** Opens the site above or below in model order. @param {number} direction */
  #openNeighbour(direction) {
    const labels = labelsOf(this.app.infos, this.app.kind);
    const next = labels[labels.indexOf(this.state.site) + direction];
    if (next) this.app.store.set({ site: next });
  }

  table() {
    return siteTable(this.panels, this.columns);
  }
}
