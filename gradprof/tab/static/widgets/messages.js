// What the page says when there is no picture to show, and what went wrong.

import { h } from "./dom.js";

const CODE = `import gradprof

with gradprof.watch(model, "runs/exp1", optimizer=optimizer):
    train(model)  # as before, nothing else to call`;

/** No run of gradprof's in the log directory. */
export function noRuns() {
  return h(
    "section",
    { class: "message", "data-message": "no-runs" },
    h("h2", {}, "No gradients here yet"),
    h("p", {}, "TensorBoard has no run of gradprof's in its log directory. To see one, record the demo:"),
    h("pre", {}, "gradprof demo\ntensorboard --logdir runs"),
    h("p", {}, "or watch a training of your own:"),
    h("pre", {}, CODE),
    h(
      "p",
      { class: "muted" },
      "This page looks again whenever TensorBoard reloads; a run appears with its first steps.",
    ),
  );
}

/** A run that cannot be read. @type {(run: string, reason: string, retry: () => void) => HTMLElement} */
export function unreadable(run, reason, retry) {
  return h(
    "section",
    { class: "message", "data-message": "unreadable", role: "alert" },
    h("h2", {}, "The run ", h("bdi", {}, run), " cannot be shown"),
    h("p", {}, reason),
    h("button", { onclick: retry }, "Try again"),
  );
}

/** A run without a step. @param {string} run */
export function noSteps(run) {
  return h(
    "section",
    { class: "message", "data-message": "no-steps" },
    h("h2", {}, "The run ", h("bdi", {}, run), " has no steps yet"),
    h(
      "p",
      {},
      "Its first steps appear here when TensorBoard reloads, a few seconds after they were written.",
    ),
  );
}

export const loading = () =>
  h(
    "section",
    { class: "message", "data-message": "loading" },
    h("p", { class: "muted" }, "Reading the run …"),
  );

/** A bar at the top for what fails while a picture is shown. */
export class Banner {
  constructor() {
    this.text = h("span", {});
    this.element = h(
      "div",
      { class: "banner", role: "alert", hidden: true },
      this.text,
      h("button", { class: "plain", "aria-label": "Close", onclick: () => this.hide() }, "×"),
    );
  }

  /** @param {string} message */
  show(message) {
    this.text.textContent = message;
    this.element.hidden = false;
  }

  hide() {
    this.element.hidden = true;
  }
}
