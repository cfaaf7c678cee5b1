// An opened step, for each run shown: all sites in model order, with another step pinned beside it.

import { ApiError, getStep, getStepByNumber, isAbort } from "../model/api.js";
import { labelsOf, stepsOf } from "../model/compare.js";
import { count } from "../model/format.js";
import { arrange, toggled } from "../model/tree.js";
import { isWhole, pan, rangeOf, zoom } from "../model/viewport.js";
import { decades } from "../draw/plot.js";
import { drawPowers, drawStep, SERIES, StepProfile } from "../draw/step_picture.js";
import { h, oncePerFrame, sizeCanvas } from "../widgets/dom.js";
import { listenToPointer } from "../widgets/gestures.js";
import { Gutter, gutterWidth, paintGutter } from "../widgets/gutter.js";
import { Panel } from "../widgets/panel.js";
import { StepHeading } from "../widgets/step_heading.js";
import { stepTable } from "./step_export.js";

const AXIS_HEIGHT = 24;
const LEAST_ROWS = 3;

export class StepView {
  #drawSoon = oncePerFrame(() => this.#draw());

  constructor(app) {
    this.app = app;
    this.layout = { rows: [], strips: [], levels: 0 };
    this.panels = [];
    this.row = -1;
    this.gutter = new Gutter({
      open: (row) => app.openSite(row.sites[0]),
      toggle: (path) => this.#toggle(path),
    });
    this.body = h("div", { class: "panels" });
    this.element = h("div", { class: "step-view" }, this.gutter.element, this.body);
    this.headline = new StepHeading(app, {
      go: (change) => this.#go(this.state.at + change),
      goTo: (step) => this.#goToStep(step),
      togglePin: () => this.#togglePin(),
    });
    this.heading = this.headline.element;
  }

  get state() {
    return this.app.store.state;
  }

  get rows() {
    return rangeOf(this.state.top, this.state.bottom, Math.max(1, this.layout.rows.length));
  }

  update(changed) {
    const any = (...keys) => changed === null || keys.some((key) => changed.has(key));
    if (any("run", "other")) this.#rebuild();
    if (any("run", "other", "kind", "filter", "collapsed")) this.#arrange();
    if (any("run", "other", "at", "pin")) this.#load();
    this.#drawSoon();
  }

  resize() {
    this.#drawSoon();
  }

  close() {
    this.panels.forEach((panel) => panel.close());
  }

  #rebuild() {
    this.close();
    const replies = new Map(this.panels.map((panel) => [panel.info.run, panel.replies]));
    this.panels = this.app.infos.map((info) => this.#newPanel(info, replies.get(info.run) ?? {}));
    this.body.replaceChildren(...this.panels.map((panel) => panel.element));
    this.body.classList.toggle("compared", this.panels.length > 1);
  }

  #newPanel(info, replies) {
    const axis = h("canvas", { class: "axis", "aria-hidden": "true" });
    const label = "Gradients of all sites at this step";
    const panel = new Panel(info, { kind: "step", label, cursor: "row" }, axis);
    Object.assign(panel, { axis, replies, profile: null, pinned: null }); // replies by ordinal, StepProfiles
    listenToPointer(panel.canvas, {
      zoom: (_, factor, __, y) => this.zoomRows(factor, this.#rowAt(panel, y)),
      pan: (_, dy) => this.#panRows(panel, dy),
      hover: (x, y) => this.#point(panel, Math.floor(this.#rowAt(panel, y)), x),
      leave: () => this.#leave(),
      click: (x, y) => this.#click(panel, Math.floor(this.#rowAt(panel, y)), x),
      reset: () => this.app.store.set({ top: null, bottom: null }),
    });
    return panel;
  }

  async #load() {
    const { at, pin } = this.state;
    await Promise.all(
      this.panels.map(async (panel) => {
        const wanted = [at, pin].filter((ordinal) => ordinal !== null && ordinal < panel.info.n);
        try {
          const replies = await panel.latest.run((signal) =>
            Promise.all(wanted.map((ordinal) => getStep(panel.info.run, ordinal, signal))),
          );
          panel.replies = Object.fromEntries(wanted.map((ordinal, i) => [ordinal, replies[i]]));
          const missing =
            panel.info.n === 0
              ? "This run has no steps yet."
              : `This run has only ${count(panel.info.n)} steps.`;
          panel.fail(at < panel.info.n ? null : missing);
        } catch (error) {
          if (isAbort(error)) return;
          if (!(error instanceof ApiError)) throw error;
          panel.fail(error.message);
        }
      }),
    );
    this.element.dataset.settled = `${at} ${pin ?? ""}`;
    this.#arrangeProfiles();
  }

  #arrange() {
    const { collapsed, filter } = this.state;
    const kind = this.app.kind;
    this.layout = arrange(labelsOf(this.app.infos, kind), { collapsed, filter, kind });
    this.element.style.setProperty("--gutter", `${gutterWidth(this.layout)}px`);
    this.#arrangeProfiles();
  }

  #arrangeProfiles() {
    for (const panel of this.panels) {
      const profile = (ordinal) =>
        panel.replies[ordinal] && new StepProfile(panel.replies[ordinal], this.layout.rows, panel.info);
      panel.profile = profile(this.state.at);
      panel.pinned = this.state.pin === this.state.at ? null : profile(this.state.pin);
    }
    this.#describe();
    this.#drawSoon();
  }

  #describe() {
    const { at, pin } = this.state;
    const { profile, pinned } = this.panels[0] ?? {};
    this.headline.show({ profile, pinned, isPinned: pin !== null, at, steps: stepsOf(this.app.infos) });
  }

  /** The powers of ten that all panels span, the threshold among them. */
  get powers() {
    const profiles = this.panels.flatMap(({ profile, pinned }) => [profile, pinned].filter(Boolean));
    const values = profiles.flatMap((profile) => SERIES.flatMap(({ metric }) => profile.values[metric]));
    return decades([...values, Math.log10(this.app.infos[0].threshold)]);
  }

  #draw() {
    for (const panel of this.panels) {
      const { width, height } = panel.size;
      if (width < 80 || height < 60) return;
      this.#drawPanel(sizeCanvas(panel.canvas, width, height), panel, { width, height });
      drawPowers(sizeCanvas(panel.axis, width, AXIS_HEIGHT), 0, width, this.powers, this.app.theme);
      this.gutter.show(this.layout, this.rows, height);
      const { top } = panel.canvas.parentElement.getBoundingClientRect();
      this.gutter.element.style.marginTop = `${top - this.element.getBoundingClientRect().top}px`;
    }
  }

  #drawPanel(ctx, panel, size) {
    const style = {
      rows: this.rows,
      powers: this.powers,
      threshold: panel.info.threshold,
      theme: this.app.theme,
    };
    drawStep(ctx, size, panel.profile, panel.pinned, style);
  }

  // --- moving about -------------------------------------------------------------------------

  #go(ordinal) {
    this.app.store.set({ at: Math.max(0, Math.min(stepsOf(this.app.infos) - 1, ordinal)) });
  }

  async #goToStep(step) {
    try {
      const reply = await getStepByNumber(this.app.infos[0].run, step);
      this.headline.number.blur();
      this.#go(reply.ordinal);
    } catch (error) {
      this.app.report(error);
    }
  }

  #togglePin() {
    this.app.store.set({ pin: this.state.pin === null ? this.state.at : null });
  }

  #rowAt(panel, y) {
    const { from, to } = this.rows;
    return from + (y / panel.canvas.getBoundingClientRect().height) * (to - from);
  }

  zoomRows(factor, at = (this.rows.from + this.rows.to) / 2) {
    this.#showRows(zoom(this.rows, factor, at, this.layout.rows.length, LEAST_ROWS));
  }

  #panRows(panel, dy) {
    this.#showRows(pan(this.rows, this.#rowAt(panel, 0) - this.#rowAt(panel, dy), this.layout.rows.length));
  }

  #showRows(range) {
    const whole = isWhole(range, this.layout.rows.length);
    this.app.store.set(whole ? { top: null, bottom: null } : { top: range.from, bottom: range.to });
  }

  #toggle(path) {
    const collapsed = toggled(this.state.collapsed, path);
    this.app.store.set({ collapsed, top: null, bottom: null });
  }

  #point(panel, row, x = 60) {
    if (this.app.tooltip.pinned) return;
    const entry = this.layout.rows[row];
    if (!entry || !panel.profile) return this.#leave();
    const value = panel.profile.values.log10_abs_max[row];
    const { at } = this.state;
    const [site] = entry.sites.filter((label) => panel.info.indexOf.has(label));
    if (site === undefined) return this.#leave();
    this.row = row;
    this.picked = {
      info: panel.info,
      site,
      metric: "log10_abs_max",
      value,
      flags: panel.profile.present[row] ? 0 : 2,
      from: at,
      to: at + 1,
      first_step: panel.profile.step,
      last_step: panel.profile.step,
    };
    const box = panel.canvas.getBoundingClientRect();
    const perRow = box.height / (this.rows.to - this.rows.from);
    const top = (row - this.rows.from) * perRow;
    for (const other of this.panels) other.cursor.hidden = other !== panel;
    Object.assign(panel.cursor.style, { top: `${top}px`, height: `${perRow}px` });
    this.gutter.mark(row);
    return this.app.tooltip.show(this.picked, { x: box.left + x, y: box.top + top + perRow / 2 });
  }

  #leave() {
    if (this.app.tooltip.pinned) return;
    for (const panel of this.panels) panel.cursor.hidden = true;
    this.gutter.mark(-1);
    this.app.tooltip.hide();
  }

  #click(panel, row, x) {
    this.app.tooltip.hide();
    this.#point(panel, row, x);
    if (this.picked) this.app.tooltip.pin();
  }

  onKey(event) {
    const { key } = event;
    if (key === "ArrowLeft" || key === "ArrowRight")
      this.#go(this.state.at + (key === "ArrowRight" ? 1 : -1) * (event.shiftKey ? 10 : 1));
    else if (key === "ArrowUp" || key === "ArrowDown") this.#moveRow(key === "ArrowDown" ? 1 : -1);
    else if (key === "+" || key === "=") this.zoomRows(0.7, this.row < 0 ? undefined : this.row + 0.5);
    else if (key === "-") this.zoomRows(1 / 0.7);
    else if (key === "0") this.app.store.set({ top: null, bottom: null });
    else if (key === "p") this.#togglePin();
    else if (key === "Enter" && this.picked) this.app.openSite(this.picked.site);
    else return false;
    return true;
  }

  #moveRow(direction) {
    const row = Math.max(0, Math.min(this.layout.rows.length - 1, this.row + direction));
    const { from, to } = this.rows;
    const beyond = Math.min(0, row - from) + Math.max(0, row + 1 - to);
    if (beyond) this.#showRows(pan(this.rows, beyond, this.layout.rows.length));
    this.app.tooltip.hide();
    if (this.panels[0]) this.#point(this.panels[0], row);
  }

  // --- export -------------------------------------------------------------------------------

  paint(ctx) {
    const origin = this.element.getBoundingClientRect();
    for (const panel of this.panels) {
      const box = panel.canvas.getBoundingClientRect();
      const x = box.left - origin.left;
      ctx.save();
      ctx.translate(0, box.top - origin.top);
      if (panel === this.panels[0]) paintGutter(ctx, this.layout, this.rows, x, box.height, this.app.theme);
      ctx.translate(x, 0);
      this.#drawPanel(ctx, panel, box);
      drawPowers(ctx, box.height, box.width, this.powers, this.app.theme);
      ctx.restore();
    }
  }

  table() {
    const metrics = this.app.infos[0].metrics.map(({ name }) => name);
    return stepTable(this.panels, this.layout.rows, metrics);
  }
}
