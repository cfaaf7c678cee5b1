// The picture of the heat map: pure functions from grids, rows and ranges to pixels.

import { MISSING, NON_FINITE, worse } from "../model/grid.js";
import { specialColors, word } from "./colors.js";

/** @import { Grid, Line } from "../model/grid.js" */
/** @import { Range } from "../model/viewport.js" */
/** @import { ThemeName } from "./axes.js" */
/** @import { Scale, SpecialColor } from "./colors.js" */
/** @typedef {{grid: Grid, lines: (Line | null)[]}} Layer with a line for each row, null where the grid has none */
/** @typedef {{c0: number, c1: number}} Span of columns, both included */
/** @typedef {Span & {layer: Layer}} Cells */
/** @typedef {Cells | (Span & {layer: null})} Found */
/** @typedef {Found & {x0: number, x1: number}} Segment of the pixels of a line, x1 excluded */
/** @typedef {{r0: number, r1: number}} Rows r1 is excluded */
/** @typedef {Rows & {y0: number, y1: number}} Band of pixels */
/** @typedef {{x0: number, x1: number, y0: number, y1: number}} Mark */
/** @typedef {Record<SpecialColor, number>} Words */
/**
 * @typedef {object} Style
 * @property {Scale} scale
 * @property {ThemeName} theme
 * @property {boolean} signed
 * @property {number} ratio device pixels of a CSS pixel
 * @property {ReadonlySet<number>} ends the last rows of groups
 */

const LEAST_MARK = 5; // CSS pixels: a non-finite cell is never smaller
const GAP_FROM = 12; // CSS pixels: rows at least this high are drawn apart
const GROUP_GAP_FROM = 3; // and at least this high, groups are

/**
 * Paints one run.
 *
 * @param {Pick<ImageData, "width" | "height" | "data">} image
 * @param {Layer[]} layers the finest first
 * @param {Range} columns ordinals in view, fractional
 * @param {Range} rows rows in view, fractional
 * @param {Style} style
 */
export function paintMap(image, layers, columns, rows, style) {
  const { width, height } = image;
  const pixels = new Uint32Array(image.data.buffer);
  const colors = words(style.theme);
  const segments = segmentsOf(layers, columns, width);
  const line = new Uint32Array(width);
  /** @type {Mark[]} */
  const marks = [];
  pixels.fill(colors.gap);
  for (const band of bandsOf(rows, height, style)) {
    const holes = paintLine(line, segments, band, style, colors, marks);
    for (let y = band.y0; y < band.y1; y++) {
      pixels.set(line, y * width);
      for (const hole of holes) hatch(pixels, width, y, hole, colors, style.ratio);
    }
  }
  for (const mark of marks) stamp(pixels, width, height, mark, colors, style.ratio);
}

/** @param {ThemeName} theme @returns {Words} */
function words(theme) {
  const colors = Object.entries(specialColors(theme)).map(([name, css]) => [name, word(css)]);
  return Object.fromEntries(colors);
}

/**
 * Runs of pixel columns that show the same columns of the same layer.
 * @type {(layers: Layer[], columns: Range, width: number) => Segment[]}
 */
function segmentsOf(layers, columns, width) {
  const perPixel = (columns.to - columns.from) / width;
  /** @type {Segment[]} */
  const segments = [];
  for (let x = 0; x < width; x++) {
    const found = columnsUnder(layers, columns.from + x * perPixel, columns.from + (x + 1) * perPixel);
    const last = segments.at(-1);
    if (last && found.layer === last.layer && found.c0 === last.c0 && found.c1 === last.c1) last.x1 = x + 1;
    else segments.push({ x0: x, x1: x + 1, ...found });
  }
  return segments;
}

/** @type {(layers: Layer[], from: number, to: number) => Found} */
function columnsUnder(layers, from, to) {
  const first = Math.floor(from + 1e-6);
  const last = Math.max(first, Math.ceil(to - 1e-6) - 1);
  for (const layer of layers) {
    const c0 = layer.grid.columnAt(first);
    if (c0 < 0) continue;
    const c1 = layer.grid.columnAt(last);
    return { layer, c0, c1: c1 < 0 ? c0 : c1 };
  }
  return { layer: null, c0: -1, c1: -1 };
}

/**
 * Rows as bands of pixels: a row has some pixels, or a pixel several rows.
 * @type {(rows: Range, height: number, style: Style) => Band[]}
 */
function bandsOf(rows, height, { ratio, ends }) {
  const perRow = height / (rows.to - rows.from);
  const bands = [];
  if (perRow < 1) {
    for (let y = 0; y < height; y++) {
      const r0 = Math.floor(rows.from + y / perRow);
      bands.push({ y0: y, y1: y + 1, r0, r1: Math.max(r0 + 1, Math.floor(rows.from + (y + 1) / perRow)) });
    }
    return bands;
  }
  /** @param {number} row */
  const apart = (row) => perRow >= (ends.has(row) ? GROUP_GAP_FROM : GAP_FROM) * ratio;
  for (let row = Math.floor(rows.from); row < Math.ceil(rows.to); row++) {
    const y0 = Math.max(0, Math.round((row - rows.from) * perRow));
    const y1 = Math.min(
      height,
      Math.round((row + 1 - rows.from) * perRow) - (apart(row) ? Math.round(ratio) : 0),
    );
    if (y1 > y0) bands.push({ y0, y1, r0: row, r1: row + 1 });
  }
  return bands;
}

/**
 * Fills `line` with the colours of a band; returns its missing segments, adds to `marks` its non-finite ones.
 * @param {Uint32Array} line @param {Segment[]} segments @param {Band} band @param {Style} style
 * @param {Words} colors @param {Mark[]} marks
 */
function paintLine(line, segments, band, style, colors, marks) {
  const holes = [];
  /** @type {Mark | null} */
  let mark = null;
  for (const segment of segments) {
    const { x0, x1 } = segment;
    const cell = segment.layer ? worstCell(segment, band, style.signed) : null;
    if (cell && cell.flags & NON_FINITE) {
      line.fill(colors.nonFinite, x0, x1);
      if (mark && mark.x1 === x0) mark.x1 = x1;
      else marks.push((mark = { x0, x1, y0: band.y0, y1: band.y1 }));
    } else if (cell && cell.flags & MISSING) {
      holes.push(segment);
    } else {
      line.fill(cell ? colorOf(cell.value, style.scale, colors) : colors.gap, x0, x1);
    }
  }
  return holes;
}

/** @type {(value: number, scale: Scale, colors: Words) => number} */
function colorOf(value, scale, colors) {
  if (Number.isNaN(value)) return colors.undefined;
  return value === -Infinity ? colors.zero : scale.word(value);
}

/**
 * The worst of the cells that lie under one rectangle of the picture; flags as in `Grid.worstOf`.
 * @type {(cells: Cells, rows: Rows, signed: boolean) => {value: number, flags: number}}
 */
export function worstCell({ layer, c0, c1 }, { r0, r1 }, signed) {
  let value = NaN;
  let nonFinite = 0;
  let missing = MISSING;
  for (let row = r0; row < r1; row++) {
    const line = layer.lines[row];
    if (!line) continue;
    for (let column = c0; column <= c1; column++) {
      const flags = line.flags[column];
      value = worse(value, line.values[column], signed);
      nonFinite |= flags & NON_FINITE;
      missing &= flags;
    }
  }
  return { value, flags: nonFinite | (missing & MISSING) };
}

/**
 * Diagonal lines: no row was recorded here.
 * @type {(pixels: Uint32Array, width: number, y: number, hole: Segment, colors: Words, ratio: number) => void}
 */
function hatch(pixels, width, y, { x0, x1 }, colors, ratio) {
  const period = Math.round(6 * ratio);
  const stroke = Math.max(1, Math.round(1.5 * ratio));
  for (let x = x0; x < x1; x++) {
    pixels[y * width + x] = (x + y) % period < stroke ? colors.hatch : colors.missing;
  }
}

/**
 * A non-finite cell too small to be seen, as a square with an edge; larger ones are left as they are.
 * @param {Uint32Array} pixels @param {number} width @param {number} height
 * @param {Mark} mark @param {Words} colors @param {number} ratio
 */
function stamp(pixels, width, height, mark, colors, ratio) {
  const least = Math.round(LEAST_MARK * ratio);
  if (mark.x1 - mark.x0 >= least && mark.y1 - mark.y0 >= least) return;
  const [x0, x1] = grow(mark.x0, mark.x1, least, width);
  const [y0, y1] = grow(mark.y0, mark.y1, least, height);
  const edge = Math.round(ratio);
  for (let y = Math.max(0, y0 - edge); y < Math.min(height, y1 + edge); y++) {
    const inside = y >= y0 && y < y1;
    for (let x = Math.max(0, x0 - edge); x < Math.min(width, x1 + edge); x++) {
      const filled = inside && x >= x0 && x < x1;
      if (filled) pixels[y * width + x] = colors.nonFinite;
      else if (pixels[y * width + x] !== colors.nonFinite) pixels[y * width + x] = colors.nonFiniteEdge;
    }
  }
}

/** @type {(start: number, end: number, least: number, size: number) => [number, number]} */
function grow(start, end, least, size) {
  if (end - start >= least) return [start, end];
  const from = Math.max(0, Math.min(size - least, Math.round((start + end - least) / 2)));
  return [from, Math.min(size, from + least)];
}
