// The names beside the rows: open groups as strips with their names along them, then a name for each row,
// or for as many rows as have room. Laid out once, then shown as buttons or drawn for a picture.

import { FONT, fit } from "../draw/axes.js";
import { h } from "./dom.js";

const STRIP = 18;
const LINE = 13; // a name needs this height
const PADDING = 8;
const [LEAST, MOST] = [90, 230];
const CROWD = 250; // with more rows few have a name, which then is the whole path
const [LETTER, DIGITS] = [6.5, 2]; // CSS pixels of a letter; names this short lie flat in their strip

const textOf = (row, layout) => (layout.rows.length > CROWD ? row.path : row.label);

/**
 * Where everything goes, in CSS pixels.
 * @param layout what `arrange` returned, @param rows {from, to} in view
 * @returns {strips: [{...strip, x, y, width, height}], names: [{row, index, y}], left}
 */
function layoutGutter(layout, rows, height) {
  const perRow = height / (rows.to - rows.from);
  const yOf = (row) => (row - rows.from) * perRow;
  const strips = layout.strips
    .map((strip) => {
      const [top, bottom] = [Math.max(0, yOf(strip.first)), Math.min(height, yOf(strip.last + 1))];
      return { ...strip, x: strip.level * STRIP, y: top, width: STRIP - 2, height: bottom - top - 1 };
    })
    .filter((strip) => strip.height > 1);
  return { strips, names: placeNames(layout.rows, rows, yOf, perRow, height), left: layout.levels * STRIP };
}

/** How a strip has room for its name: "flat", "upright", or not at all. */
function lie({ name, height }) {
  if (name.length <= DIGITS) return height >= LINE - 2 ? "flat" : "";
  return height >= Math.min(6, name.length) * LETTER ? "upright" : "";
}

/** Names that do not overlap; closed groups are placed first, because they stand for many. */
function placeNames(rows, range, yOf, perRow, height) {
  const taken = [];
  const names = [];
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

/** The width that the names of a layout ask for. */
export function gutterWidth(layout) {
  const ctx = document.createElement("canvas").getContext("2d");
  ctx.font = FONT;
  const widest = layout.rows.reduce(
    (most, row) => Math.max(most, ctx.measureText(textOf(row, layout)).width),
    0,
  );
  return layout.levels * STRIP + Math.round(Math.min(MOST, Math.max(LEAST, widest + 2 * PADDING + 4)));
}

export class Gutter {
  #shown = new Map();

  /** @param actions {open(row), toggle(path), hover(index)} */
  constructor(actions) {
    this.actions = actions;
    this.element = h("div", { class: "gutter", role: "group", "aria-label": "Sites" });
    this.marker = h("div", { class: "row-name", hidden: true });
    this.element.append(this.marker);
  }

  show(layout, rows, height) {
    const { strips, names, left } = layoutGutter(layout, rows, height);
    this.geometry = { layout, rows, height };
    const unused = new Map(this.#shown);
    for (const strip of strips)
      this.#put(`strip ${strip.path} ${strip.first}`, unused, () => this.#strip(strip), strip).dataset.lie =
        lie(strip);
    for (const { row, index, y } of names) {
      const box = { x: left, y: y - LINE / 2, height: LINE };
      this.#put(`row ${row.key}`, unused, () => this.#name(row, textOf(row, layout)), box).dataset.index =
        index;
    }
    for (const [key, element] of unused) {
      element.remove();
      this.#shown.delete(key);
    }
  }

  /** Shows the name of a row that the pointer or the cursor is on, whether or not it had room. */
  mark(index) {
    const row = this.geometry?.layout.rows[index];
    this.marker.hidden = !row;
    if (!row) return;
    const { rows, height } = this.geometry;
    const y = ((index + 0.5 - rows.from) / (rows.to - rows.from)) * height;
    this.marker.replaceChildren(h("bdi", {}, textOf(row, this.geometry.layout)));
    this.marker.style.top = `${y - LINE / 2 - 1}px`;
  }

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

  #strip({ path, name }) {
    const toggle = () => this.actions.toggle(path);
    const title = `${path}: close`;
    return h(
      "button",
      { class: "strip", "data-group": path, "aria-expanded": "true", title, onclick: toggle },
      h("span", {}, name),
    );
  }

  #name(row, text) {
    const open = () => (row.group === null ? this.actions.open(row) : this.actions.toggle(row.group));
    const name =
      row.group === null ? { "data-site": row.key } : { "data-group": row.group, "aria-expanded": "false" };
    const style = row.group === null ? "name" : "name group";
    const title = row.group === null ? row.title : `${row.title}; open`;
    return h("button", { class: style, ...name, title, onclick: open }, h("bdi", {}, text));
  }
}

/** The same on a canvas, for an exported picture. */
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
