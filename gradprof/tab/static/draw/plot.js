// What the pictures of an opened site and an opened step share: a frame with scales, and lines in it.

/** @import { Context } from "./axes.js" */
/** @typedef {{low: number, high: number}} Limits */
/** @typedef {{color: string, width?: number, alpha?: number, dash?: number[]}} Stroke */

/**
 * A linear map of [a, b] onto [start, end].
 * @type {(a: number, b: number, start: number, end: number) => (value: number) => number}
 */
export const linear = (a, b, start, end) => (value) => start + ((value - a) / (b - a)) * (end - start);

/**
 * Whole decades around finite values, with a little air; a decade around `fallback` if there is none.
 * @type {(values: Iterable<number>, fallback?: number) => Limits}
 */
export function decades(values, fallback = 0) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) [low, high] = [fallback, fallback];
  return { low: Math.floor(low - 0.3), high: Math.ceil(high + 0.3) };
}

/**
 * A line through points; it breaks at NaN, and what is infinite is held at the frame by the scales.
 * @type {(ctx: Context, points: number[][], stroke: Stroke) => void}
 */
export function polyline(ctx, points, { color, width = 1, alpha = 1, dash = [] }) {
  ctx.save();
  ctx.globalAlpha = alpha;
  ctx.strokeStyle = color;
  ctx.lineWidth = width;
  ctx.lineJoin = "round";
  ctx.setLineDash(dash);
  ctx.beginPath();
  let drawing = false;
  for (const [x, y] of points) {
    if (Number.isNaN(x) || Number.isNaN(y)) drawing = false;
    else if (drawing) ctx.lineTo(x, y);
    else {
      ctx.moveTo(x, y);
      drawing = true;
    }
  }
  ctx.stroke();
  ctx.restore();
}

/** @type {(ctx: Context, x: number, y: number, radius: number, style: {fill?: string, stroke?: string}) => void} */
export function dot(ctx, x, y, radius, { fill, stroke }) {
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, 2 * Math.PI);
  if (fill) {
    ctx.fillStyle = fill;
    ctx.fill();
  }
  if (stroke) {
    ctx.strokeStyle = stroke;
    ctx.lineWidth = 1.25;
    ctx.stroke();
  }
}
