// The names beside the rows: open groups as strips with their names along them, then a name for each row,
// or for as many rows as have room. Laid out once, then shown as buttons or drawn for a picture.

import { FONT, fit } from "../draw/axes.js";
import { contextOf, h } from "./dom.js";

/** @import { Context, Theme } from "../draw/axes.js" */
/** @import { Layout, Row, Strip } from "../model/tree.js" */
/** @import { Range } from "../model/viewport.js" */
/** @typedef {{x: number, y: number, height: number}} Box in CSS pixels */
/** @typedef {Strip & Box & {width: number}} PlacedStrip */
/** @typedef {{row: Row, index: number, y: number}} PlacedName */
/** @typedef {{strips: PlacedStrip[], names: PlacedName[], left: number}} Placed */

const STRIP = 18;
const LINE = 13; // a name needs this height
const PADDING = 8;
const [LEAST, MOST] = [90, 230];
const CROWD = 250; // with more rows few have a name, which then is the whole path
const [LETTER, DIGITS] = [6.5, 2]; // CSS pixels of a letter; names this short lie flat in their strip

/** @type {(row: Row, layout: Layout) => string} */
const textOf = (row, layout) => (layout.rows.length > CROWD ? row.path : row.label);

/**
 * Where everything goes, in CSS pixels.
 * @type {(layout: Layout, rows: Range, height: number) => Placed}
 */
function layoutGutter(layout, rows, height) {
  const perRow = height / (rows.to - rows.from);
  /** @param {number} row */
  const yOf = (row) => (row - rows.from) * perRow;
  const strips = layout.strips
    .map((strip) => {
      const [top, bottom] = [Math.max(0, yOf(strip.first)), Math.min(height, yOf(strip.last + 1))];
      return { ...strip, x: strip.level * STRIP, y: top, width: STRIP - 2, height: bottom - top - 1 };
    })
    .filter((strip) => strip.height > 1);
  return { strips, names: placeNames(layout.rows, rows, yOf, perRow, height), left: layout.levels * STRIP };
}

/** How a strip has room for its name: "flat", "upright", or not at all. @param {PlacedStrip} strip */
function lie({ name, height }) {
  if (name.length <= DIGITS) return height >= LINE - 2 ? "flat" : "";
  return height >= Math.min(6, name.length) * LETTER ? "upright" : "";
}

/**
 * Names that do not overlap; closed groups are placed first, because they stand for many.
 * @type {(rows: Row[], range: Range, yOf: (row: number) => number, perRow: number, height: number) => PlacedName[]}
 */
function placeNames(rows, range, yOf, perRow, height) {
  /** @type {number[]} */
  const taken = [];
  /** @type {PlacedName[]} */
  const names = [];
  /** @param {number} index */
  const place = (index) => {
    const y = yOf(index) + perRow / 2;
    const slot = Math.floor(y / LINE);
    const free = [slot - 1, slot, slot + 1].every(
      (near) => taken[near] === undefined || Math.abs(taken[near] - y) >= LINE - 1,
    );
    if (y < 4 || y > height - 4 || !free) return;
    taken[slot] = y;
    names.push({ row: rows[index], index, y });
  };
  const [first, last] = [Math.floor(range.from), Math.min(rows.length, Math.ceil(range.to))];
  for (const groups of [true, false]) {
    for (let index = first; index < last; index++) if ((rows[index].group !== null) === groups) place(index);
  }
  return names;
}

/** The width that the names of a layout ask for. @param {Layout} layout */
export function gutterWidth(layout) {
  const ctx = contextOf(h("canvas"));
  ctx.font = FONT;
  const widest = layout.rows.reduce(
    (most, row) => Math.max(most, ctx.measureText(textOf(row, layout)).width),
    0,
  );
  return layout.levels * STRIP + Math.round(Math.min(MOST, Math.max(LEAST, widest + 2 * PADDING + 4)));
}

export class Gutter {
  /** @type {Map<string, HTMLElement>} */
  #shown = new Map();
  /** @type {{layout: Layout, rows: Range, height: number} | null} */
  #geometry = null;

  /** @param {{open(row: Row): void, toggle(path: string): void}} actions */
  constructor(actions) {
    this.actions = actions;
    this.element = h("div", { class: "gutter", role: "group", "aria-label": "Sites" });
    this.marker = h("div", { class: "row-name", hidden: true });
    this.element.append(this.marker);
  }

  /** @type {(layout: Layout, rows: Range, height: number) => void} */
  show(layout, rows, height) {
    const { strips, names, left } = layoutGutter(layout, rows, height);
    this.#geometry = { layout, rows, height };
    const unused = new Map(this.#shown);
    for (const strip of strips)
      this.#put(`strip ${strip.path} ${strip.first}`, unused, () => this.#strip(strip), strip).dataset.lie =
        lie(strip);
    for (const { row, index, y } of names) {
      const box = { x: left, y: y - LINE / 2, height: LINE };
      const name = this.#put(`row ${row.key}`, unused, () => this.#name(row, textOf(row, layout)), box);
      name.dataset.index = String(index);
    }
    for (const [key, element] of unused) {
      element.remove();
      this.#shown.delete(key);
    }
  }

  /** Shows the name of a row that the pointer or the cursor is on, whether or not it had room. @param {number} index */
  mark(index) {
    const row = this.#geometry?.layout.rows[index];
    this.marker.hidden = !row;
    if (!row || !this.#geometry) return;
    const { layout, rows, height } = this.#geometry;
    const y = ((index + 0.5 - rows.from) / (rows.to - rows.from)) * height;
    this.marker.replaceChildren(h("bdi", {}, textOf(row, layout)));
    this.marker.style.top = `${y - LINE / 2 - 1}px`;
  }

  /** @type {(key: string, unused: Map<string, HTMLElement>, make: () => HTMLElement, box: Box) => HTMLElement} */
  #put(key, unused, make, box) {
    const element = this.#shown.get(key) ?? make();
    if (!this.#shown.has(key)) {
      this.#shown.set(key, element);
      this.element.append(element);
    }
    unused.delete(key);
    Object.assign(element.style, { left: `${box.x}px`, top: `${box.y}px`, height: `${box.height}px` });
    return element;
  }

  /** @param {Strip} strip */
  #strip({ path, name }) {
    const toggle = () => this.actions.toggle(path);
    const title = `${path}: close`;
    return h(
      "button",
      { class: "strip", "data-group": path, "aria-expanded": "true", title, onclick: toggle },
      h("span", {}, name),
    );
  }

  /** @param {Row} row @param {string} text */
  #name(row, text) {
    const { group, title } = row;
    const attributes =
      group === null
        ? { class: "name", "data-site": row.key, title, onclick: () => this.actions.open(row) }
        : {
            class: "name group",
            "data-group": group,
            "aria-expanded": "false",
            title: `${title}; open`,
            onclick: () => this.actions.toggle(group),
          };
    return h("button", attributes, h("bdi", {}, text));
  }
}

/**
 * The same on a canvas, for an exported picture.
 * @type {(ctx: Context, layout: Layout, rows: Range, width: number, height: number, theme: Theme) => void}
 */
export function paintGutter(ctx, layout, rows, width, height, theme) {
  const { strips, names, left } = layoutGutter(layout, rows, height);
  ctx.font = FONT;
  ctx.textBaseline = "middle";
  for (const strip of strips) {
    ctx.fillStyle = theme.strip;
    ctx.fillRect(strip.x, strip.y, strip.width, strip.height);
    const way = lie(strip);
    if (!way) continue;
    ctx.save();
    ctx.translate(strip.x + strip.width / 2, strip.y + strip.height / 2);
    if (way === "upright") ctx.rotate(-Math.PI / 2);
    ctx.textAlign = "center";
    ctx.fillStyle = theme.muted;
    ctx.fillText(fit(ctx, strip.name, strip.height - 4), 0, 0);
    ctx.restore();
  }
  ctx.textAlign = "right";
  for (const { row, y } of names) {
    ctx.fillStyle = row.group === null ? theme.muted : theme.ink;
    ctx.fillText(fit(ctx, textOf(row, layout), width - left - PADDING), width - PADDING, y);
  }
}
