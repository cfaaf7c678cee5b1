// The place of one run in a view: its name (where runs are compared), a picture, and what went wrong there.

import { ApiError, isAbort, Latest } from "../model/api.js";
import { h } from "./dom.js";

/** @import { RunInfo } from "../model/run_info.js" */
/**
 * @typedef {object} Picture
 * @property {string} kind class of the canvas
 * @property {string} label for people who do not see it
 * @property {string} [cursor] class of the mark
 */

export class Panel {
  /** @param {RunInfo} info @param {Picture} picture @param {HTMLElement[]} below elements under the picture */
  constructor(info, { kind, label, cursor = "" }, ...below) {
    this.info = info;
    this.latest = new Latest();
    this.canvas = h("canvas", { class: kind, "data-run": info.run, role: "img", "aria-label": label });
    this.cursor = h("div", { class: `cursor ${cursor}`, hidden: true });
    this.problem = h("p", { class: "problem", role: "alert", hidden: true });
    const name = h("h2", { class: "run-name" }, h("bdi", {}, info.run));
    this.frame = h("div", { class: "picture" }, this.canvas, this.cursor, this.problem);
    this.element = h("div", { class: "panel" }, name, this.frame, below);
  }

  /** The size of the picture in CSS pixels. */
  get size() {
    const { width, height } = this.frame.getBoundingClientRect();
    return { width, height };
  }

  /** Says in place of the picture what went wrong; null for nothing. @param {string | null} message */
  fail(message) {
    this.problem.hidden = message === null;
    this.problem.textContent = message ?? "";
  }

  /**
   * Does the work of a request that gives what is wrong or nothing; what is wrong stands in place of the picture.
   * @param {() => Promise<string | void>} work @returns {Promise<"done" | "failed" | "superseded">}
   */
  async attempt(work) {
    try {
      this.fail((await work()) ?? null);
      return "done";
    } catch (error) {
      if (isAbort(error)) return "superseded";
      if (!(error instanceof ApiError)) throw error;
      this.fail(error.message);
      return "failed";
    }
  }

  close() {
    this.latest.cancel();
  }
}
