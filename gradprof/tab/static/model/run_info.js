// What is known of one run: the reply of the `run` route, with its sites found by label.

import { count, plural } from "./format.js";

/** @import { Run } from "./replies.js" */

export class RunInfo {
  /** @param {Run} reply */
  constructor(reply) {
    this.run = reply.run;
    this.model = reply.model;
    this.version = reply.version;
    this.n = reply.n;
    this.firstStep = reply.first_step;
    this.lastStep = reply.last_step;
    this.threshold = reply.threshold;
    this.sites = reply.sites;
    this.metrics = reply.metrics;
    this.indexOf = new Map(reply.sites.map((site, index) => [site.label, index]));
    this.kinds = reply.kinds;
  }

  /** Labels of a kind, or of all kinds, in model order. @param {string} kind */
  labels(kind) {
    return this.sites.filter((site) => kind === "all" || site.kind === kind).map((site) => site.label);
  }

  /**
   * A metric's name for people. Logarithms are for the colours; the page gives the plain values.
   * @param {string} metric
   */
  title(metric) {
    const title = this.metrics.find(({ name }) => name === metric)?.title ?? metric;
    return title.replace(/^log10 of (the )?/, "");
  }

  /** `4 × 512`, or nothing where it is not known. @param {string} label */
  shapeOf(label) {
    const shape = this.sites[this.indexOf.get(label) ?? -1]?.shape;
    return shape?.length ? shape.join(" × ") : "";
  }

  get summary() {
    const steps =
      this.firstStep === null || this.lastStep === null
        ? "no steps yet"
        : `${plural(this.n, "step")} (${count(this.firstStep)}–${count(this.lastStep)})`;
    return [this.model, steps].filter(Boolean).join(" · ");
  }
}
