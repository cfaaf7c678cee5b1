// An opened step as a table of its numbers.

/** @import { Step } from "../model/replies.js" */
/** @import { RunInfo } from "../model/run_info.js" */
/** @import { Row } from "../model/tree.js" */
/** @typedef {{info: RunInfo, replies: Record<number, Step>}} Shown of one run, replies by ordinal */

/**
 * One line for each run, step shown and site in `rows`: every metric, empty where it is undefined.
 * @type {(panels: Shown[], rows: Row[], metrics: string[]) => (string | number)[][]}
 */
export function stepTable(panels, rows, metrics) {
  /** @type {(string | number)[][]} */
  const table = [["run", "step", "site", ...metrics]];
  const shown = new Set(rows.flatMap((row) => row.sites));
  for (const { info, replies } of panels) {
    for (const reply of Object.values(replies)) {
      for (const site of reply.sites) {
        const { label } = info.sites[site];
        const values = metrics.map((name) => String(reply.metrics[name][site] ?? ""));
        if (shown.has(label)) table.push([info.run, reply.step, label, ...values]);
      }
    }
  }
  return table;
}
