// An opened site as a table of its numbers.

import { exactFloat32 } from "../model/format.js";

/** @import { SiteData } from "../draw/site_picture.js" */
/** @import { Count, Magnitude } from "../model/replies.js" */
/** @import { RunInfo } from "../model/run_info.js" */
/** @import { Range } from "../model/viewport.js" */
/** @typedef {{info: RunInfo, site: string, data: SiteData | null}} Shown of one run */

/** @type {Magnitude[]} */
const LOGARITHMS = ["p01", "median", "p99", "abs_max", "abs_min"];
/** @type {Count[]} */
const COUNTS = ["n_zero", "non_finite", "numel"];

/**
 * One line for each run and column in view; quantiles and extrema are log10.
 * @type {(panels: Shown[], columns: Range) => (string | number)[][]}
 */
export function siteTable(panels, columns) {
  /** @type {(string | number)[][]} */
  const table = [
    ["run", "site", "first_step", "last_step", ...LOGARITHMS.map((name) => `log10_${name}`), ...COUNTS],
  ];
  for (const { info, site, data } of panels) {
    if (!data) continue;
    for (const column of data.within(columns)) {
      const { first_step, last_step } = data.span(column);
      const logarithms = LOGARITHMS.map((name) => exactFloat32(data.of[name][column]));
      const counts = COUNTS.map((name) => data.of[name][column]);
      table.push([info.run, site, first_step, last_step, ...logarithms, ...counts]);
    }
  }
  return table;
}
