// Ticks, and the axes drawn from them. Every function draws on a 2-D context in CSS pixels.

import { count, power } from "../model/format.js";

/** @import { Range } from "../model/viewport.js" */
/** @typedef {CanvasRenderingContext2D} Context */
/** @typedef {{width: number, height: number}} Size in CSS pixels */
/** @typedef {"light" | "dark"} ThemeName */
/** @typedef {"paper" | "ink" | "muted" | "line" | "grid" | "strip" | "accent" | "warm" | "density"} ThemeColor */
/** @typedef {Record<ThemeColor, string> & {name: ThemeName}} Theme */
/** @typedef {{x: number, step: number}} Tick */

export const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif';
const TICK_SPACING = 90;

/**
 * Round values between `low` and `high`, at most about `most` of them; integers only where asked.
 * @param {number} low @param {number} high @param {number} most
 */
export function niceTicks(low, high, most, { integers = false } = {}) {
  const rough = (high - low) / Math.max(1, most);
  if (!(rough > 0)) return [low];
  const decade = 10 ** Math.floor(Math.log10(rough));
  let step = decade * ([1, 2, 5].find((m) => m * decade >= rough * 0.999) ?? 10);
  if (integers) step = Math.max(1, Math.round(step));
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++)
    ticks.push(Number((i * step).toPrecision(12)));
  return ticks;
}

/**
 * Ticks of an axis of steps, x in CSS pixels.
 * `stepAt` gives the step at an ordinal and grows with it; a tick stands at the middle of its step.
 * @type {(columns: Range, width: number, stepAt: (ordinal: number) => number) => Tick[]}
 */
export function stepTicks(columns, width, stepAt) {
  const last = Math.max(columns.from, columns.to - 1);
  const [low, high] = [stepAt(columns.from), stepAt(last)];
  if (!Number.isFinite(low) || !Number.isFinite(high)) return [];
  const perOrdinal = width / (columns.to - columns.from);
  return niceTicks(low, high, width / TICK_SPACING, { integers: true }).map((step) => ({
    step,
    x: (ordinalOf(step, columns.from, last, stepAt) + 0.5 - columns.from) * perOrdinal,
  }));
}

/** @type {(step: number, low: number, high: number, stepAt: (ordinal: number) => number) => number} */
function ordinalOf(step, low, high, stepAt) {
  for (let i = 0; i < 40 && high - low > 1e-3; i++) {
    const middle = (low + high) / 2;
    if (stepAt(middle) < step) low = middle;
    else high = middle;
  }
  return high;
}

/**
 * The axis of steps below a picture, from x0 on, with its top at y.
 * @type {(ctx: Context, x0: number, y: number, width: number, ticks: Tick[], theme: Theme) => void}
 */
export function drawStepAxis(ctx, x0, y, width, ticks, theme) {
  ctx.font = FONT;
  ctx.textBaseline = "top";
  ctx.fillStyle = theme.muted;
  ctx.strokeStyle = theme.line;
  for (const { x, step } of ticks) {
    if (x < -1 || x > width + 1) continue;
    line(ctx, x0 + x, y, x0 + x, y + 4);
    const text = count(step);
    const half = ctx.measureText(text).width / 2;
    ctx.textAlign = "left";
    ctx.fillText(text, Math.min(Math.max(x0 + x - half, x0), x0 + width - 2 * half), y + 6);
  }
}

/**
 * Powers of ten on the left of a picture, with faint lines across it. `yOf` maps log10 to CSS pixels.
 * @param {Context} ctx @param {number} x0 @param {number} width @param {number} low @param {number} high
 * @param {number} height @param {(value: number) => number} yOf @param {Theme} theme
 */
export function drawPowerAxis(ctx, x0, width, low, high, height, yOf, theme) {
  ctx.font = FONT;
  ctx.textBaseline = "middle";
  ctx.textAlign = "right";
  for (const exponent of niceTicks(low, high, height / 34, { integers: true })) {
    ctx.strokeStyle = theme.grid;
    line(ctx, x0, yOf(exponent), x0 + width, yOf(exponent));
    ctx.fillStyle = theme.muted;
    ctx.fillText(power(exponent), x0 - 7, yOf(exponent));
  }
}

/**
 * A crisp straight line one pixel wide.
 * @type {(ctx: Context, x0: number, y0: number, x1: number, y1: number) => void}
 */
export function line(ctx, x0, y0, x1, y1) {
  ctx.beginPath();
  ctx.moveTo(crisp(x0), crisp(y0));
  ctx.lineTo(crisp(x1), crisp(y1));
  ctx.stroke();
}

/** @param {number} v */
const crisp = (v) => Math.round(v) + 0.5;

/**
 * Text cut to `width` with an ellipsis at its start: the end of a module path tells more.
 * @param {Context} ctx @param {string} text @param {number} width
 */
export function fit(ctx, text, width) {
  if (ctx.measureText(text).width <= width) return text;
  let [low, high] = [0, text.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ctx.measureText(`…${text.slice(middle)}`).width <= width) high = middle;
    else low = middle + 1;
  }
  return `…${text.slice(low)}`;
}

/** The page's colours for canvases, from its style sheet. @returns {Theme} */
export function readTheme() {
  const style = getComputedStyle(document.documentElement);
  const names = ["paper", "ink", "muted", "line", "grid", "strip", "accent", "warm", "density"];
  const colors = names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]);
  return { ...Object.fromEntries(colors), name: document.documentElement.dataset.theme };
}
