// An opened site, for each run shown: its picture, redrawn at once while finer data are fetched.

import { ApiError, getSite, isAbort } from "../model/api.js";
import { labelsOf, stepsOf } from "../model/compare.js";
import { MISSING, NON_FINITE } from "../model/grid.js";
import { isWhole, pan, rangeOf, zoom } from "../model/viewport.js";
import { stepTicks } from "../draw/axes.js";
import { decades } from "../draw/plot.js";
import { drawSite, FRAME, linesOf, scalesOf, SiteData } from "../draw/site_picture.js";
import { backButton } from "../widgets/controls.js";
import { debounce, h, oncePerFrame, sizeCanvas } from "../widgets/dom.js";
import { listenToPointer } from "../widgets/gestures.js";
import { Panel } from "../widgets/panel.js";
import { siteTable } from "./site_export.js";

const REFINE_MS = 120;
const LEAST_STEPS = 4;
const ARRAYS_FOR_RANGE = ["abs_max", "abs_min"];

export class SiteView {
  #drawSoon = oncePerFrame(() => this.#draw());
  #loadSoon = debounce(() => this.#load(), REFINE_MS);

  constructor(app) {
    this.app = app;
    this.title = h("h2", {}, "");
    this.detail = h("span", { class: "muted" });
    this.key = h("span", { class: "keys" });
    const neighbour = (direction, text, title) =>
      h("button", { title, "aria-label": title, onclick: () => this.#neighbour(direction) }, text);
    this.heading = h(
      "div",
      { class: "heading" },
      h(
        "div",
        { class: "trail" },
        backButton(app),
        neighbour(-1, "‹", "The site above (↑)"),
        neighbour(1, "›", "The site below (↓)"),
        this.title,
        this.detail,
      ),
      this.key,
    );
    this.element = h("div", { class: "site-view" });
    this.panels = [];
  }

  get state() {
    return this.app.store.state;
  }

  get columns() {
    return rangeOf(this.state.from, this.state.to, stepsOf(this.app.infos));
  }

  update(changed) {
    const any = (...keys) => changed === null || keys.some((key) => changed.has(key));
    if (any("run", "other", "site")) this.#rebuild();
    else if (any("from", "to")) this.#loadSoon();
    this.#drawSoon();
  }

  resize() {
    this.#drawSoon();
    this.#loadSoon();
  }

  close() {
    this.#loadSoon.cancel();
    this.panels.forEach((panel) => panel.close());
  }

  #rebuild() {
    const { site } = this.state;
    this.panels.forEach((panel) => panel.close());
    const before = new Map(this.panels.map((panel) => [`${panel.info.run} ${panel.site}`, panel]));
    this.panels = this.app.infos.map((info) => {
      const panel = before.get(`${info.run} ${site}`) ?? this.#newPanel(info, site);
      panel.info = info;
      return panel;
    });
    this.element.replaceChildren(...this.panels.map((panel) => panel.element));
    this.element.classList.toggle("compared", this.panels.length > 1);
    this.title.replaceChildren(h("bdi", {}, site));
    this.detail.textContent = this.app.infos[0].shapeOf(site);
    this.#load();
  }

  #newPanel(info, site) {
    const label = `Gradients of ${site} over the run`;
    const panel = new Panel(info, { kind: "site", label, cursor: "line" });
    Object.assign(panel, { site, data: null, whole: null }); // SiteData of what is in view, and of the whole run
    listenToPointer(panel.canvas, {
      zoom: (_, factor, x) => this.zoomSteps(factor, this.#ordinalAt(panel, x)),
      pan: (dx) => this.#pan(panel, dx),
      hover: (x, y) => this.#hover(panel, x, y),
      leave: () => this.#leave(),
      click: (x, y) => this.#click(panel, x, y),
      reset: () => this.app.store.set({ from: null, to: null }),
    });
    return panel;
  }

  async #load() {
    const { site } = this.state;
    const whole = isWhole(this.columns, stepsOf(this.app.infos));
    await Promise.all(
      this.panels.map(async (panel) => {
        const index = panel.info.indexOf.get(site);
        if (index === undefined) return panel.fail(`This run has no site ${site}.`);
        const width = Math.round(panel.canvas.parentElement.clientWidth) || 800;
        const range = whole
          ? {}
          : { from: Math.floor(this.columns.from), to: Math.min(panel.info.n, Math.ceil(this.columns.to)) };
        if (range.to <= range.from) return undefined;
        try {
          const reply = await panel.latest.run((signal) =>
            getSite({ run: panel.info.run, site: index, columns: width, ...range }, signal),
          );
          panel.data = new SiteData(reply);
          if (whole || !panel.whole) panel.whole = panel.data;
          return panel.fail(null);
        } catch (error) {
          if (isAbort(error)) return undefined;
          if (!(error instanceof ApiError)) throw error;
          return panel.fail(error.message);
        }
      }),
    );
    this.#drawSoon();
    this.element.dataset.settled = `${site} ${JSON.stringify(this.columns)}`;
  }

  /** The powers of ten that all panels span, the threshold among them. */
  get powers() {
    const arrays = this.panels.flatMap(({ whole, data }) => [whole, data].filter(Boolean));
    const values = arrays.flatMap((data) => ARRAYS_FOR_RANGE.flatMap((name) => [...data.of[name]]));
    return decades([...values, Math.log10(this.app.infos[0].threshold)]);
  }

  #draw() {
    const theme = this.app.theme;
    for (const panel of this.panels) {
      const { width, height } = panel.size;
      if (width < 80 || height < 60) continue;
      this.#drawPanel(sizeCanvas(panel.canvas, width, height), panel, { width, height });
    }
    this.key.replaceChildren(
      ...linesOf(theme).map(({ title, color, width }) =>
        h(
          "span",
          { class: "key" },
          h("i", { class: "stroke", style: `border-top:${width}px solid ${color}` }),
          title,
        ),
      ),
    );
  }

  #drawPanel(ctx, panel, size) {
    if (!panel.data) return;
    const columns = this.columns;
    const inside = size.width - FRAME.left - FRAME.right;
    const shown = { from: columns.from, to: Math.min(columns.to, panel.info.n) };
    const width = (inside * (shown.to - shown.from)) / (columns.to - columns.from);
    const data = panel.data.covers(shown) ? panel.data : (panel.whole ?? panel.data);
    const ticks = stepTicks(shown, width, (ordinal) => data.stepAt(ordinal));
    drawSite(ctx, size, data, {
      columns,
      powers: this.powers,
      ticks,
      threshold: panel.info.threshold,
      theme: this.app.theme,
    });
  }

  #ordinalAt(panel, x) {
    const size = panel.canvas.getBoundingClientRect();
    const { from, to } = this.columns;
    return from + ((x - FRAME.left) / (size.width - FRAME.left - FRAME.right)) * (to - from);
  }

  zoomSteps(factor, at = (this.columns.from + this.columns.to) / 2) {
    const size = stepsOf(this.app.infos);
    this.#show(zoom(this.columns, factor, at, size, LEAST_STEPS));
  }

  #pan(panel, dx) {
    this.#show(
      pan(this.columns, this.#ordinalAt(panel, 0) - this.#ordinalAt(panel, dx), stepsOf(this.app.infos)),
    );
  }

  #show(range) {
    const whole = isWhole(range, stepsOf(this.app.infos));
    this.app.store.set(whole ? { from: null, to: null } : { from: range.from, to: range.to });
  }

  // --- the step under the pointer or the keyboard's cursor --------------------------------------

  #hover(panel, x, y) {
    if (this.app.tooltip.pinned) return;
    this.#point(panel, Math.floor(this.#ordinalAt(panel, x)), y);
  }

  #point(panel, ordinal, y = 80) {
    const data = panel.data?.columnAt(ordinal) >= 0 ? panel.data : panel.whole;
    const column = data ? data.columnAt(ordinal) : -1;
    if (column < 0) return this.#leave();
    const flags = (data.has(column) ? 0 : MISSING) | (data.of.non_finite[column] > 0 ? NON_FINITE : 0);
    this.picked = {
      info: panel.info,
      site: this.state.site,
      metric: "log10_abs_max",
      value: data.of.abs_max[column],
      flags,
      ...data.span(column),
    };
    const box = panel.canvas.getBoundingClientRect();
    const { x } = scalesOf(this.columns, { low: 0, high: 1 }, box.width, box.height);
    const middle = (x(this.picked.from) + x(this.picked.to)) / 2;
    for (const other of this.panels) other.cursor.hidden = other !== panel;
    Object.assign(panel.cursor.style, {
      left: `${middle}px`,
      top: `${FRAME.top}px`,
      bottom: `${FRAME.bottom}px`,
    });
    return this.app.tooltip.show(this.picked, { x: box.left + middle, y: box.top + y });
  }

  #leave() {
    if (this.app.tooltip.pinned) return;
    for (const panel of this.panels) panel.cursor.hidden = true;
    this.app.tooltip.hide();
  }

  #click(panel, x, y) {
    this.app.tooltip.hide();
    this.#hover(panel, x, y);
    if (this.picked) this.app.tooltip.pin();
  }

  onKey(event) {
    const { key } = event;
    if (key === "ArrowLeft" || key === "ArrowRight") this.#moveCursor(key === "ArrowRight" ? 1 : -1);
    else if (key === "ArrowUp" || key === "ArrowDown") this.#neighbour(key === "ArrowDown" ? 1 : -1);
    else if (key === "+" || key === "=") this.zoomSteps(0.7, this.picked?.from);
    else if (key === "-") this.zoomSteps(1 / 0.7, this.picked?.from);
    else if (key === "0") this.app.store.set({ from: null, to: null });
    else if (key === "s" && this.picked) this.app.openStep(this.app.tooltip.worstOrdinal ?? this.picked.from);
    else return false;
    return true;
  }

  #moveCursor(direction) {
    const panel = this.panels[0];
    const middle = Math.floor((this.columns.from + this.columns.to) / 2);
    const next = this.picked ? (direction > 0 ? this.picked.to : this.picked.from - 1) : middle;
    const ordinal = Math.max(0, Math.min(panel.info.n - 1, next));
    const { from, to } = this.columns;
    const beyond = Math.min(0, ordinal - from) + Math.max(0, ordinal + 1 - to);
    if (beyond) this.#show(pan(this.columns, beyond, stepsOf(this.app.infos)));
    this.app.tooltip.hide();
    this.#point(panel, ordinal);
  }

  /** Opens the site above or below in model order. */
  #neighbour(direction) {
    const labels = labelsOf(this.app.infos, this.app.kind);
    const next = labels[labels.indexOf(this.state.site) + direction];
    if (next) this.app.store.set({ site: next });
  }

  // --- export -------------------------------------------------------------------------------

  paint(ctx) {
    const origin = this.element.getBoundingClientRect();
    for (const panel of this.panels) {
      const box = panel.canvas.getBoundingClientRect();
      ctx.save();
      ctx.translate(box.left - origin.left, box.top - origin.top);
      this.#drawPanel(ctx, panel, { width: box.width, height: box.height });
      ctx.restore();
    }
  }

  table() {
    return siteTable(this.panels, this.columns);
  }
}
