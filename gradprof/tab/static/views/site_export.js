// An opened site as a table of its numbers.

import { exactFloat32 } from "../model/format.js";

const LOGARITHMS = ["p01", "median", "p99", "abs_max", "abs_min"];
const COUNTS = ["n_zero", "non_finite", "numel"];

/** One line for each run and column in view; quantiles and extrema are log10. */
export function siteTable(panels, columns) {
  const table = [
    ["run", "site", "first_step", "last_step", ...LOGARITHMS.map((name) => `log10_${name}`), ...COUNTS],
  ];
  for (const { info, site, data } of panels.filter((panel) => panel.data)) {
    for (const column of data.within(columns)) {
      const { first_step, last_step } = data.span(column);
      const logarithms = LOGARITHMS.map((name) => exactFloat32(data.of[name][column]));
      const counts = COUNTS.map((name) => data.of[name][column]);
      table.push([info.run, site, first_step, last_step, ...logarithms, ...counts]);
    }
  }
  return table;
}
