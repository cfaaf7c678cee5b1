// The cell of the map that the pointer or the keyboard is on: its frame, its name, its figures.

import { stepsOf } from "../model/compare.js";
import { pan } from "../model/viewport.js";

export class CellCursor {
  /** @param view the MapView */
  constructor(view) {
    this.view = view;
    this.clear();
  }

  /** Forgets the cell. */
  clear() {
    this.cell = null; // {panel, row, ordinal}
    this.point = null; // where the pointer is in the panel
    this.picked = null; // what `MapPanel.pick` says of it
    this.leave();
  }

  /** Takes the figures away; the frame stays, for the keyboard to go on from. */
  leave() {
    if (this.view.app.tooltip.pinned) return;
    this.view.gutter.mark(-1);
    this.view.app.tooltip.hide();
    this.paint();
  }

  /** The pointer is at x, y of a panel. */
  hover(panel, x, y) {
    if (this.view.app.tooltip.pinned) return;
    const { columns, rows } = this.view;
    const ordinal = columns.from + (x / panel.width) * (columns.to - columns.from);
    this.#point(
      { panel, row: Math.floor(rows.from + (y / panel.height) * (rows.to - rows.from)), ordinal },
      { x, y },
    );
  }

  /** Looks at the cell again, when finer data have come. */
  refresh() {
    if (this.picked && !this.view.app.tooltip.element.hidden && !this.view.app.tooltip.pinned)
      this.#point(this.cell, this.point);
  }

  /** Keeps the figures of the cell at x, y. */
  click(panel, x, y) {
    this.view.app.tooltip.hide();
    this.hover(panel, x, y);
    if (this.picked) this.view.app.tooltip.pin();
  }

  /** Moves by columns and rows, and the view after the cell. */
  move(dx, dy) {
    const { view } = this;
    const panel = view.panels.includes(this.cell?.panel) ? this.cell.panel : view.panels[0];
    if (!panel?.layers.length || view.layout.rows.length === 0) return;
    const row = this.cell ? this.cell.row + dy : Math.floor(view.rows.from);
    const cell = {
      panel,
      row: Math.max(0, Math.min(view.layout.rows.length - 1, row)),
      ordinal: Math.max(0, Math.min(panel.info.n - 1, this.#along(panel, dx))),
    };
    this.#reveal(cell);
    view.app.tooltip.hide();
    this.#point(cell);
  }

  /** The ordinal `dx` columns from the cell; a column is at least a pixel. */
  #along(panel, dx) {
    const { columns } = this.view;
    if (!this.picked) return Math.floor((columns.from + columns.to) / 2);
    const stride = Math.max(this.picked.to - this.picked.from, (columns.to - columns.from) / panel.width);
    return Math.floor(this.picked.from + dx * stride);
  }

  #reveal({ row, ordinal }) {
    const { view } = this;
    const { columns, rows } = view;
    const dx = Math.min(0, ordinal - columns.from) + Math.max(0, ordinal + 1 - columns.to);
    const dy = Math.min(0, row - rows.from) + Math.max(0, row + 1 - rows.to);
    if (dx) view.showColumns(pan(columns, dx, stepsOf(view.app.infos)));
    if (dy) view.showRows(pan(rows, dy, view.layout.rows.length));
  }

  /** Puts the cursor on a cell; `point` is in its panel, by default the cell's own place. */
  #point(cell, point = null) {
    const { view } = this;
    const { panel, row, ordinal } = cell;
    const { columns, rows } = view;
    const perPixel = (columns.to - columns.from) / panel.width;
    this.cell = cell;
    this.point = point;
    this.picked = panel.pick(ordinal, view.layout.rows[row], row, view.state.metric, perPixel);
    if (!this.picked) return this.leave();
    view.gutter.mark(row);
    this.paint();
    const box = panel.canvas.getBoundingClientRect();
    const x = point?.x ?? (ordinal + 0.5 - columns.from) / perPixel;
    const y = point?.y ?? ((row + 0.5 - rows.from) / (rows.to - rows.from)) * panel.height;
    return view.app.tooltip.show(this.picked, { x: box.left + x, y: box.top + y });
  }

  /** Draws the frame where the cell is now. */
  paint() {
    const { columns, rows, panels } = this.view;
    for (const panel of panels) panel.cursor.hidden = true;
    if (!this.picked || !panels.includes(this.cell.panel)) return;
    const { panel, row } = this.cell;
    const [perStep, perRow] = [
      panel.width / (columns.to - columns.from),
      panel.height / (rows.to - rows.from),
    ];
    const [left, top] = [(this.picked.from - columns.from) * perStep, (row - rows.from) * perRow];
    const [width, height] = [Math.max(3, (this.picked.to - this.picked.from) * perStep), Math.max(3, perRow)];
    panel.cursor.hidden = left > panel.width || left + width < 0 || top > panel.height || top + height < 0;
    const box = { left: left - 1, top: top - 1, width: width + 2, height: height + 2 };
    for (const [side, pixels] of Object.entries(box)) panel.cursor.style[side] = `${pixels}px`;
  }
}
