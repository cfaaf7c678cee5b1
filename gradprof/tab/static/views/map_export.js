// The heat map as a picture on one canvas and as a table of its numbers.

import { exactFloat32 } from "../model/format.js";
import { MISSING, NON_FINITE } from "../model/grid.js";
import { drawStepAxis, FONT } from "../draw/axes.js";
import { paintGutter } from "../widgets/gutter.js";
import { paintLegend } from "../widgets/legend.js";

const TOP = 22;

/** Draws names, every panel with its axis, and the legend, where they stand on the page. */
export function paintMapView(ctx, view) {
  const theme = view.app.theme;
  const origin = view.element.getBoundingClientRect();
  const first = view.panels[0].canvas.getBoundingClientRect();
  ctx.save();
  ctx.translate(0, first.top - origin.top);
  paintGutter(ctx, view.layout, view.rows, first.left - origin.left, first.height, theme);
  ctx.restore();
  for (const panel of view.panels) {
    const box = panel.canvas.getBoundingClientRect();
    const [x, y] = [box.left - origin.left, box.top - origin.top];
    ctx.drawImage(panel.canvas, x, y, box.width, box.height);
    drawStepAxis(ctx, x, y + box.height, box.width, panel.ticks(view.columns), theme);
    if (view.panels.length > 1) paintName(ctx, panel.info.run, x, y, theme);
  }
  paintLegend(ctx, origin.width, -TOP + 2, view.state.metric, view.scale, theme);
}

function paintName(ctx, name, x, y, theme) {
  ctx.font = `600 ${FONT}`;
  ctx.textAlign = "left";
  ctx.textBaseline = "bottom";
  ctx.fillStyle = theme.ink;
  ctx.fillText(name, x, y - 4);
}

/**
 * One line for each row and column in view: run, site, first and last step, the value, and whether it holds a
 * non-finite value or lacks its gradient. A closed group stands as one row with its worst value.
 */
export function mapTable(view) {
  const { columns, rows, layout } = view;
  const table = [["run", "site", "first_step", "last_step", view.state.metric, "non_finite", "missing"]];
  for (const panel of view.panels) {
    const layer = layerOf(panel, columns);
    if (!layer) continue;
    const { grid } = layer;
    for (let row = Math.floor(rows.from); row < Math.min(layout.rows.length, Math.ceil(rows.to)); row++) {
      const line = layer.lines[row];
      if (!line) continue;
      for (const column of grid.within(columns)) {
        const flags = line.flags[column];
        table.push([
          panel.info.run,
          layout.rows[row].key,
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

/** The finest layer that holds all that is in view. */
function layerOf(panel, { from, to }) {
  const shown = { from, to: Math.min(to, panel.info.n) };
  return panel.layers.find(({ grid }) => grid.covers(shown)) ?? panel.layers.at(-1);
}
