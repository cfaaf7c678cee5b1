// What is known of one run: the reply of the `run` route, with its sites found by label.

import { count, plural } from "./format.js";

export class RunInfo {
  constructor(reply) {
    Object.assign(this, reply);
    this.indexOf = new Map(reply.sites.map((site, index) => [site.label, index]));
    this.kinds = [...new Set(reply.sites.map((site) => site.kind))];
  }

  /** Labels of a kind, or of all kinds, in model order. */
  labels(kind) {
    return this.sites.filter((site) => kind === "all" || site.kind === kind).map((site) => site.label);
  }

  /** A metric's name for people. Logarithms are for the colours; the page gives the plain values. */
  title(metric) {
    const title = this.metrics.find(({ name }) => name === metric)?.title ?? metric;
    return title.replace(/^log10 of (the )?/, "");
  }

  /** `4 × 512`, or nothing where it is not known. */
  shapeOf(label) {
    const shape = this.sites[this.indexOf.get(label)]?.shape;
    return shape?.length ? shape.join(" × ") : "";
  }

  get summary() {
    const steps =
      this.n === 0
        ? "no steps yet"
        : `${plural(this.n, "step")} (${count(this.first_step)}–${count(this.last_step)})`;
    return [this.model, steps].filter(Boolean).join(" · ");
  }
}

export const KIND_TITLES = { param: "Parameters", output: "Outputs", input: "Inputs", all: "All kinds" };
