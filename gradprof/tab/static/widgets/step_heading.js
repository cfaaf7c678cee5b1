// The line above an opened step: which step it is, ways to others, the pin, and what the points mean.

import { figure } from "../model/api.js";
import { count, number } from "../model/format.js";
import { SERIES } from "../draw/step_picture.js";
import { backButton } from "./controls.js";
import { h } from "./dom.js";

/** @import { StepProfile } from "../draw/step_picture.js" */
/** @import { Attributes } from "./dom.js" */
/** @typedef {{go(change: number): void, goTo(step: string): void, togglePin(): void}} StepActions */
/**
 * @typedef {object} ShownStep
 * @property {StepProfile | null} profile
 * @property {StepProfile | null} pinned
 * @property {boolean} isPinned
 * @property {number} at ordinal of the step
 * @property {number} steps how many there are
 */

export class StepHeading {
  /** @param {{back(): void}} app @param {StepActions} actions */
  constructor(app, actions) {
    this.number = h("input", {
      type: "number",
      class: "step-number",
      "aria-label": "Step",
      onchange: () => actions.goTo(this.number.value),
    });
    this.previous = h(
      "button",
      { title: "The step before (←)", "aria-label": "The step before", onclick: () => actions.go(-1) },
      "‹",
    );
    this.next = h(
      "button",
      { title: "The step after (→)", "aria-label": "The step after", onclick: () => actions.go(1) },
      "›",
    );
    this.pin = h("button", { "data-action": "pin", onclick: actions.togglePin });
    this.detail = h("span", { class: "muted detail" });
    this.keys = h("span", { class: "keys" });
    const trail = [
      backButton(app),
      h("h2", {}, "Step"),
      this.previous,
      this.number,
      this.next,
      this.pin,
      this.detail,
    ];
    this.element = h("div", { class: "heading" }, h("div", { class: "trail" }, trail), this.keys);
  }

  /** @param {ShownStep} shown */
  show({ profile, pinned, isPinned, at, steps }) {
    if (document.activeElement !== this.number) this.number.value = String(profile?.step ?? "");
    this.previous.disabled = at <= 0;
    this.next.disabled = at >= steps - 1;
    this.pin.textContent = isPinned ? "Unpin" : "Pin this step";
    this.pin.setAttribute("aria-pressed", String(isPinned));
    const scalars = Object.entries(profile?.scalars ?? {});
    this.detail.textContent = scalars.map(([name, value]) => `${name} ${number(figure(value))}`).join(" · ");
    const series = SERIES.map(({ title, color }) =>
      key(title, { class: "dot", style: `background:var(--${color})` }),
    );
    this.keys.replaceChildren(
      ...series,
      ...(pinned ? [key(`pinned: step ${count(pinned.step)}`, { class: "hollow" })] : []),
    );
  }
}

/** @param {string} name @param {Attributes} sample */
const key = (name, sample) => h("span", { class: "key" }, h("i", sample), name);
