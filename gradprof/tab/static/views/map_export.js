// The heat map as a table of its numbers.

import { exactFloat32 } from "../model/format.js";
import { MISSING, NON_FINITE } from "../model/grid.js";

/** @import { Layer } from "../draw/heatmap.js" */
/** @import { RunInfo } from "../model/run_info.js" */
/** @import { Row } from "../model/tree.js" */
/** @import { Range } from "../model/viewport.js" */
/** @typedef {{info: RunInfo, layers: Layer[]}} Shown of one run, the finest layer first */

/**
 * One line for each row and column in view: run, site, first and last step, the value, and whether it holds a
 * non-finite value or lacks its gradient. A closed group stands as one row with its worst value.
 * @type {(panels: Shown[], columns: Range, inView: Range, rows: Row[], metric: string) => (string | number)[][]}
 */
export function mapTable(panels, columns, inView, rows, metric) {
  /** @type {(string | number)[][]} */
  const table = [["run", "site", "first_step", "last_step", metric, "non_finite", "missing"]];
  for (const panel of panels) {
    const layer = layerOf(panel, columns);
    if (!layer) continue;
    const { grid } = layer;
    for (let row = Math.floor(inView.from); row < Math.min(rows.length, Math.ceil(inView.to)); row++) {
      const line = layer.lines[row];
      if (!line) continue;
      for (const column of grid.within(columns)) {
        const flags = line.flags[column];
        table.push([
          panel.info.run,
          rows[row].key,
          grid.firstSteps[column],
          grid.lastSteps[column],
          exactFloat32(line.values[column]),
          Number(Boolean(flags & NON_FINITE)),
          Number(Boolean(flags & MISSING)),
        ]);
      }
    }
  }
  return table;
}

/** The finest layer that holds all that is in view. @param {Shown} panel @param {Range} columns */
function layerOf({ info, layers }, { from, to }) {
  const shown = { from, to: Math.min(to, info.n) };
  return layers.find(({ grid }) => grid.covers(shown)) ?? layers.at(-1);
}
