// The picture of one site: log10|g| upwards, steps across. Each column is the histogram of its steps, with
// quantiles and extrema drawn over it. Pure drawing; `data` is a SiteData.

import { Columns } from "../model/columns.js";
import { number } from "../model/format.js";
import { drawPowerAxis, drawStepAxis, FONT, line } from "./axes.js";
import { densityWords, specialColors, word } from "./colors.js";
import { linear, polyline } from "./plot.js";

/** @import { Magnitude, SiteHistory } from "../model/replies.js" */
/** @import { Range } from "../model/viewport.js" */
/** @import { Context, Size, Theme, Tick } from "./axes.js" */
/** @import { Limits } from "./plot.js" */
/** @typedef {(value: number) => number} Mapping of values to CSS pixels */
/** @typedef {{x: Mapping, y: Mapping}} Scales */
/**
 * What a picture shows: `ticks` are those of the axis of steps.
 * @typedef {{columns: Range, powers: Limits, ticks: Tick[], threshold: number, theme: Theme}} SiteScene
 */

export const FRAME = { left: 46, right: 10, top: 14, bottom: 26 };
const LANE = 6; // the strip above the picture that marks non-finite steps

/**
 * The lines over the picture: arrays of the reply, a name for them, how they are drawn.
 * @type {(theme: Theme) => {names: Magnitude[], title: string, color: string, width: number}[]}
 */
export const linesOf = (theme) => [
  { names: ["abs_max", "abs_min"], title: "largest, smallest > 0", color: theme.ink, width: 1 },
  { names: ["p99", "p01"], title: "99 %, 1 %", color: theme.warm, width: 1 },
  { names: ["median"], title: "median", color: theme.warm, width: 2.5 },
];

/** One reply of the `site` route. */
export class SiteData extends Columns {
  /** @param {SiteHistory} reply */
  constructor({ header, arrays }) {
    super(arrays);
    this.of = arrays;
    this.binEdges = header.bin_edges_log10;
    this.bins = this.binEdges.length - 1;
  }

  /** Whether any of a column's steps has a row. @param {number} column */
  has(column) {
    return this.of.numel[column] > 0;
  }
}

/**
 * Scales of a picture of `width` × `height` CSS pixels.
 * @type {(columns: Range, powers: Limits, width: number, height: number) => Scales}
 */
export function scalesOf(columns, powers, width, height) {
  return {
    x: linear(columns.from, columns.to, FRAME.left, width - FRAME.right),
    y: linear(powers.low, powers.high, height - FRAME.bottom, FRAME.top + LANE),
  };
}

/** Draws everything. @type {(ctx: Context, size: Size, data: SiteData, scene: SiteScene) => void} */
export function drawSite(ctx, size, data, { columns, powers, ticks, threshold, theme }) {
  const { x, y } = scalesOf(columns, powers, size.width, size.height);
  const [left, right] = [FRAME.left, size.width - FRAME.right];
  drawDensity(ctx, data, { y, left, right, columns, powers }, theme);
  drawPowerAxis(ctx, left, right - left, powers.low, powers.high, size.height, y, theme);
  drawStepAxis(ctx, left, size.height - FRAME.bottom, right - left, ticks, theme);
  drawThreshold(ctx, left, right, y(Math.log10(threshold)), threshold, theme);
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, FRAME.top + LANE, right - left, size.height - FRAME.top - LANE - FRAME.bottom);
  ctx.clip();
  const spacing = (right - left) / Math.max(1, data.columns);
  for (const { names, color, width } of linesOf(theme)) {
    // Lines that swing from pixel to pixel would hide what they are drawn over.
    const style = { color, width: Math.min(width, Math.max(0.75, spacing / 2)), alpha: spacing < 3 ? 0.6 : 1 };
    for (const name of names) polyline(ctx, pointsOf(data, data.of[name], x, y, powers), style);
  }
  ctx.restore();
  drawLane(ctx, data, x, left, right, theme);
}

/**
 * A step's value spans its column, so that one step of a long run stays as wide as its column. The line breaks
 * where it comes to zero or leaves it: a zero is a mark at the bottom, not the end of a fall.
 * @type {(data: SiteData, values: Float32Array, x: Mapping, y: Mapping, powers: Limits) => number[][]}
 */
function pointsOf(data, values, x, y, { low, high }) {
  const points = [];
  for (let column = 0; column < data.columns; column++) {
    const value = Math.max(low, Math.min(high, values[column]));
    const [from, to] = [data.firstOrdinals[column], data.lastOrdinals[column] + 1];
    if (column && (values[column] === -Infinity) !== (values[column - 1] === -Infinity)) points.push([NaN, NaN]);
    if (x(to) - x(from) < 6) points.push([x((from + to) / 2), y(value)]);
    else points.push([x(from), y(value)], [x(to), y(value)]);
  }
  return points;
}

/**
 * The histograms as one image: a bin's share of its column's fullest bin, by its square root.
 * @typedef {{y: Mapping, left: number, right: number, columns: Range, powers: Limits}} Area
 * @type {(ctx: Context, data: SiteData, area: Area, theme: Theme) => void}
 */
function drawDensity(ctx, data, { y, left, right, columns, powers }, theme) {
  const ratio = ctx.getTransform().a;
  const offset = ctx.getTransform();
  const [top, bottom] = [y(powers.high), y(powers.low)];
  const [width, height] = [Math.round((right - left) * ratio), Math.round((bottom - top) * ratio)];
  if (width < 1 || height < 1) return;
  const image = ctx.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const binAt = binsOf(data, powers, height);
  const colors = columnColors(data, theme);
  const special = specialColors(theme.name);
  const [paper, missing, hatch] = [theme.paper, special.missing, special.hatch].map(word);
  const perPixel = (columns.to - columns.from) / width;
  for (let px = 0; px < width; px++) {
    const column = data.columnAt(Math.floor(columns.from + (px + 0.5) * perPixel));
    const found = column >= 0 && data.has(column);
    for (let py = 0; py < height; py++) {
      const empty = column < 0 ? paper : (px + py) % Math.round(6 * ratio) < 1.5 * ratio ? hatch : missing;
      pixels[py * width + px] = found
        ? binAt[py] < 0
          ? paper
          : colors[column * data.bins + binAt[py]]
        : empty;
    }
  }
  ctx.putImageData(image, Math.round(offset.e + left * ratio), Math.round(offset.f + top * ratio));
}

/**
 * For each pixel row the bin under it, -1 outside of the bins.
 * @type {(data: SiteData, powers: Limits, height: number) => Int32Array}
 */
function binsOf(data, { low, high }, height) {
  const [first, last] = [data.binEdges[0], data.binEdges[data.bins]];
  return Int32Array.from({ length: height }, (_, py) => {
    const exponent = high - ((py + 0.5) / height) * (high - low);
    if (exponent < first || exponent >= last) return -1;
    return Math.min(data.bins - 1, Math.floor(((exponent - first) / (last - first)) * data.bins));
  });
}

/** @param {SiteData} data @param {Theme} theme */
function columnColors(data, theme) {
  const words = densityWords(theme.name);
  const colors = new Uint32Array(data.columns * data.bins);
  for (let column = 0; column < data.columns; column++) {
    const counts = data.of.hist.subarray(column * data.bins, (column + 1) * data.bins);
    const fullest = counts.reduce((most, n) => Math.max(most, n), 1);
    counts.forEach((n, bin) => {
      colors[column * data.bins + bin] = words[Math.round(Math.sqrt(n / fullest) * (words.length - 1))];
    });
  }
  return colors;
}

/** @type {(ctx: Context, left: number, right: number, y: number, threshold: number, theme: Theme) => void} */
function drawThreshold(ctx, left, right, y, threshold, theme) {
  ctx.save();
  ctx.strokeStyle = theme.accent;
  ctx.setLineDash([2, 3]);
  line(ctx, left, y, right, y);
  ctx.font = FONT;
  ctx.textAlign = "right";
  ctx.textBaseline = "bottom";
  ctx.fillStyle = theme.accent;
  ctx.fillText(`threshold ${number(threshold)}`, right - 4, y - 2);
  ctx.restore();
}

/** @type {(ctx: Context, data: SiteData, x: Mapping, left: number, right: number, theme: Theme) => void} */
function drawLane(ctx, data, x, left, right, theme) {
  ctx.fillStyle = specialColors(theme.name).nonFinite;
  for (let column = 0; column < data.columns; column++) {
    if (!(data.of.non_finite[column] > 0)) continue;
    const [start, end] = [x(data.firstOrdinals[column]), x(data.lastOrdinals[column] + 1)];
    const width = Math.max(4, end - start);
    const from = Math.max(left, (start + end - width) / 2);
    if (from < right && start + width > left)
      ctx.fillRect(from, FRAME.top - 4, Math.min(width, right - from), LANE);
  }
}
