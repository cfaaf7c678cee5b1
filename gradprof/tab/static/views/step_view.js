// An opened step, for each run shown: all sites in model order, with another step pinned beside it.

import { decades } from "../draw/plot.js";
import { drawPowers, drawStep, SERIES, StepProfile } from "../draw/step_picture.js";
import { getStep, getStepByNumber } from "../model/api.js";
import { count } from "../model/format.js";
import { MISSING } from "../model/grid.js";
import { h, sizeCanvas } from "../widgets/dom.js";
import { Panel } from "../widgets/panel.js";
import { StepHeading } from "../widgets/step_heading.js";
import { stepTable } from "./step_export.js";
import { View } from "./view.js";

/** @import { Context, Size } from "../draw/axes.js" */
/** @import { Step } from "../model/replies.js" */
/** @import { RunInfo } from "../model/run_info.js" */
/** @import { Changed, State } from "../model/state.js" */
/** @import { Tab } from "./view.js" */

const AXIS_HEIGHT = 24;

class StepPanel extends Panel {
  /** By ordinal: of the step shown, and of the pinned one. @type {Record<number, Step>} */
  replies = {};
  /** @type {StepProfile | null} */
  profile = null;
  /** @type {StepProfile | null} */
  pinned = null;

  /** @param {RunInfo} info */
  constructor(info) {
    const axis = h("canvas", { class: "axis", "aria-hidden": "true" });
    super(info, { kind: "step", label: "Gradients of all sites at this step", cursor: "row" }, axis);
    this.axis = axis;
  }
}

/** @extends {View<StepPanel>} */
export class StepView extends View {
  #row = -1; // that the pointer or the keyboard is on

  /** @param {Tab} app */
  constructor(app) {
    super(app, "step", ["rows"]);
    this.headline = new StepHeading(app, {
      go: (change) => this.#go((this.state.at ?? 0) + change),
      goTo: (step) => this.#goToStep(step),
      togglePin: () => this.#togglePin(),
    });
    this.heading = this.headline.element;
  }

  /** @param {RunInfo} info */
  newPanel(info) {
    return new StepPanel(info);
  }

  /** @param {Changed | null} changed */
  update(changed) {
    /** @param {(keyof State)[]} keys */
    const any = (...keys) => changed === null || keys.some((key) => changed.has(key));
    if (any("run", "other")) this.showPanels();
    if (any("run", "other", "kind", "filter", "collapsed")) this.#arrange();
    if (any("run", "other", "at", "pin")) this.fetch();
    this.drawSoon();
  }

  async fetch() {
    const { at, pin } = this.state;
    await Promise.all(this.panels.map((panel) => panel.attempt(() => this.#read(panel, at, pin))));
    this.element.dataset.settled = `${at} ${pin ?? ""}`;
    this.#arrangeProfiles();
  }

  /** @type {(panel: StepPanel, at: number | null, pin: number | null) => Promise<string | void>} */
  async #read(panel, at, pin) {
    const { run, n } = panel.info;
    const wanted = [at, pin].filter((ordinal) => ordinal !== null).filter((ordinal) => ordinal < n);
    const replies = await panel.latest.run((signal) =>
      Promise.all(wanted.map((ordinal) => getStep(run, ordinal, signal))),
    );
    panel.replies = Object.fromEntries(wanted.map((ordinal, i) => [ordinal, replies[i]]));
    if ((at ?? 0) < n) return undefined;
    return n === 0 ? "This run has no steps yet." : `This run has only ${count(n)} steps.`;
  }

  #arrange() {
    this.arrangeRows();
    this.#arrangeProfiles();
  }

  #arrangeProfiles() {
    const { at, pin } = this.state;
    for (const panel of this.panels) {
      /** @param {number | null} ordinal */
      const profile = (ordinal) => {
        const reply = ordinal === null ? undefined : panel.replies[ordinal];
        return reply ? new StepProfile(reply, this.layout.rows, panel.info) : null;
      };
      panel.profile = profile(at);
      panel.pinned = pin === at ? null : profile(pin);
    }
    const { profile, pinned } = this.panels[0];
    this.headline.show({ profile, pinned, isPinned: pin !== null, at: at ?? 0, steps: this.steps });
    this.drawSoon();
  }

  /** The powers of ten that all panels span, the threshold among them. */
  get powers() {
    const profiles = this.panels.flatMap(({ profile, pinned }) => [profile, pinned]);
    const values = profiles.flatMap((part) => (part ? SERIES.flatMap(({ metric }) => part.values[metric]) : []));
    return decades([...values, Math.log10(this.app.infos[0].threshold)]);
  }

  draw() {
    super.draw();
    for (const panel of this.roomy) {
      const { width, height } = panel.size;
      drawPowers(sizeCanvas(panel.axis, width, AXIS_HEIGHT), 0, width, this.powers, this.app.theme);
      this.drawGutter(panel, height);
    }
  }

  /** @param {Context} ctx @param {StepPanel} panel @param {Size} size */
  paintPanel(ctx, panel, size) {
    const { rows, powers } = this;
    const { theme } = this.app;
    drawStep(ctx, size, panel.profile, panel.pinned, { rows, powers, threshold: panel.info.threshold, theme });
    drawPowers(ctx, size.height, size.width, powers, theme);
  }

  // --- moving about ---------------------------------------------------------------------------

  /** @param {number} ordinal */
  #go(ordinal) {
    this.app.store.set({ at: Math.max(0, Math.min(this.steps - 1, ordinal)) });
  }

  /** @param {string} step */
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

  /** @param {number} factor */
  zoomBy(factor) {
    this.zoomRows(factor, factor < 1 && this.#row >= 0 ? this.#row + 0.5 : undefined);
  }

  /** @param {StepPanel} panel @param {number} x @param {number} y */
  pointAt(panel, x, y) {
    this.#point(panel, Math.floor(this.rowAt(panel, y)), x);
  }

  /** @param {StepPanel} panel @param {number} row @param {number} [x] */
  #point(panel, row, x = 60) {
    const { info, profile } = panel;
    const site = this.layout.rows[row]?.sites.find((label) => info.indexOf.has(label));
    const { at } = this.state;
    if (site === undefined || !profile || at === null) return this.leave();
    this.#row = row;
    const flags = profile.present[row] ? 0 : MISSING;
    const local = { info, site, metric: "log10_abs_max", value: profile.values.log10_abs_max[row], flags };
    const span = { from: at, to: at + 1, first_step: profile.step, last_step: profile.step };
    const perRow = panel.canvas.getBoundingClientRect().height / (this.rows.to - this.rows.from);
    const top = (row - this.rows.from) * perRow;
    this.gutter.mark(row);
    const cursor = { top: `${top}px`, height: `${perRow}px` };
    return this.show(panel, { ...local, ...span }, cursor, x, top + perRow / 2);
  }

  /** @param {number} dx @param {number} dy @param {number} stride */
  move(dx, dy, stride) {
    if (dx) this.#go((this.state.at ?? 0) + dx * stride);
    else this.#moveRow(dy);
  }

  /** @param {number} direction */
  #moveRow(direction) {
    const row = Math.max(0, Math.min(this.layout.rows.length - 1, this.#row + direction));
    this.revealRow(row);
    this.app.tooltip.hide();
    this.#point(this.panels[0], row);
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    if (event.key !== "p") return super.onKey(event);
    this.#togglePin();
    return true;
  }

  table() {
    const metrics = this.app.infos[0].metrics.map(({ name }) => name);
    return stepTable(this.panels, this.layout.rows, metrics);
  }
}
