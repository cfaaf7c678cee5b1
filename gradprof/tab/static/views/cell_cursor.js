// The cell of the map that the pointer or the keyboard is on: its frame, its name, its figures.

/** @import { MapPanel } from "./map_panel.js" */
/** @import { MapView } from "./map_view.js" */
/** @typedef {{panel: MapPanel, row: number, ordinal: number}} Cell */
/** @typedef {{x: number, y: number}} Point in a panel */

export class CellCursor {
  /** @type {Cell | null} */
  #cell = null;
  /** Where the pointer is. @type {Point | null} */
  #point = null;

  /** @param {MapView} view what is picked in it is what `MapPanel.pick` says of the cell */
  constructor(view) {
    this.view = view;
  }

  /** Forgets the cell. */
  clear() {
    this.#cell = this.#point = this.view.picked = null;
    this.leave();
  }

  /** Takes the figures away; the frame stays, for the keyboard to go on from. */
  leave() {
    if (this.view.app.tooltip.pinned) return;
    this.view.gutter.mark(-1);
    this.view.app.tooltip.hide();
    this.paint();
  }

  /** The pointer is at x, y of a panel. @param {MapPanel} panel @param {number} x @param {number} y */
  pointAt(panel, x, y) {
    const { view } = this;
    this.#put({ panel, row: Math.floor(view.rowAt(panel, y)), ordinal: view.ordinalAt(panel, x) }, { x, y });
  }

  /** Looks at the cell again, when finer data have come. */
  refresh() {
    const { tooltip } = this.view.app;
    if (this.view.picked && this.#cell && !tooltip.element.hidden && !tooltip.pinned)
      this.#put(this.#cell, this.#point);
  }

  /** Moves by columns and rows, and the view after the cell. @param {number} dx @param {number} dy */
  move(dx, dy) {
    const { view } = this;
    const before = this.#cell;
    const panel = view.panels.find((shown) => shown === before?.panel) ?? view.panels[0];
    if (!panel?.layers.length || view.layout.rows.length === 0) return;
    const row = before ? before.row + dy : Math.floor(view.rows.from);
    const cell = {
      panel,
      row: Math.max(0, Math.min(view.layout.rows.length - 1, row)),
      ordinal: Math.max(0, Math.min(panel.info.n - 1, this.#along(panel, dx))),
    };
    view.revealStep(cell.ordinal);
    view.revealRow(cell.row);
    view.app.tooltip.hide();
    this.#put(cell);
  }

  /**
   * The ordinal `dx` columns from the cell; a column is at least a pixel.
   * @param {MapPanel} panel @param {number} dx
   */
  #along(panel, dx) {
    const { columns, picked } = this.view;
    if (!picked) return Math.floor((columns.from + columns.to) / 2);
    const stride = Math.max(picked.to - picked.from, (columns.to - columns.from) / panel.width);
    return Math.floor(picked.from + dx * stride);
  }

  /**
   * Puts the cursor on a cell; `point` is in its panel, by default the cell's own place.
   * @param {Cell} cell @param {Point | null} [point]
   */
  #put(cell, point = null) {
    const { view } = this;
    const { panel, row, ordinal } = cell;
    const { columns, rows } = view;
    const perPixel = (columns.to - columns.from) / panel.width;
    this.#cell = cell;
    this.#point = point;
    view.picked = panel.pick(ordinal, view.layout.rows[row], row, view.state.metric, perPixel);
    if (!view.picked) return this.leave();
    view.gutter.mark(row);
    this.paint();
    const box = panel.canvas.getBoundingClientRect();
    const x = point?.x ?? (ordinal + 0.5 - columns.from) / perPixel;
    const y = point?.y ?? ((row + 0.5 - rows.from) / (rows.to - rows.from)) * panel.height;
    return view.app.tooltip.show(view.picked, { x: box.left + x, y: box.top + y });
  }

  /** Draws the frame where the cell is now. */
  paint() {
    const { columns, rows, panels, picked } = this.view;
    for (const panel of panels) panel.cursor.hidden = true;
    if (!picked || !this.#cell || !panels.includes(this.#cell.panel)) return;
    const { panel, row } = this.#cell;
    const [perStep, perRow] = [
      panel.width / (columns.to - columns.from),
      panel.height / (rows.to - rows.from),
    ];
    const [left, top] = [(picked.from - columns.from) * perStep, (row - rows.from) * perRow];
    const [width, height] = [Math.max(3, (picked.to - picked.from) * perStep), Math.max(3, perRow)];
    panel.cursor.hidden = left > panel.width || left + width < 0 || top > panel.height || top + height < 0;
    const box = { left: left - 1, top: top - 1, width: width + 2, height: height + 2 };
    for (const [side, pixels] of Object.entries(box)) panel.cursor.style.setProperty(side, `${pixels}px`);
  }
}
