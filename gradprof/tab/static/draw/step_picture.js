// The profile of one step over depth: sites down in model order, log10 across; the largest magnitude and the
// L2 norm of each site, and those of a pinned step as hollow points. Pure drawing.

import { figure } from "../model/api.js";
import { power } from "../model/format.js";
import { FONT, line, niceTicks } from "./axes.js";
import { specialColors } from "./colors.js";
import { dot, linear, polyline } from "./plot.js";

/** @import { Step } from "../model/replies.js" */
/** @import { RunInfo } from "../model/run_info.js" */
/** @import { Row } from "../model/tree.js" */
/** @import { Range } from "../model/viewport.js" */
/** @import { Context, Size, Theme } from "./axes.js" */
/** @import { Limits } from "./plot.js" */
/** @typedef {{rows: Range, powers: Limits, threshold: number, theme: Theme}} StepScene what a picture shows */
/** @typedef {{x: (value: number) => number, y: (row: number) => number}} Scales to CSS pixels */

export const FRAME = { left: 18, right: 22 };
/** @type {{metric: "log10_abs_max" | "log10_l2", title: string, color: "warm" | "accent"}[]} */
export const SERIES = [
  { metric: "log10_abs_max", title: "largest |g|", color: "warm" },
  { metric: "log10_l2", title: "L2 norm", color: "accent" },
];
const DOTS_FROM = 4; // CSS pixels of a row

/** A reply of the `step` route by rows: for each metric the worst of a row's members, NaN where none came. */
export class StepProfile {
  /** @param {Step} reply @param {Row[]} rows @param {RunInfo} info */
  constructor(reply, rows, info) {
    this.step = reply.step;
    this.scalars = reply.scalars;
    const present = new Set(reply.sites);
    const lines = rows.map((row) =>
      row.sites.map((label) => info.indexOf.get(label) ?? -1).filter((site) => present.has(site)),
    );
    this.present = lines.map((members) => members.length > 0);
    /** @param {string} name */
    const worst = (name) =>
      lines.map((members) =>
        members.reduce((most, site) => larger(most, figure(reply.metrics[name][site])), NaN),
      );
    this.values = {
      log10_abs_max: worst("log10_abs_max"),
      log10_l2: worst("log10_l2"),
      non_finite: worst("non_finite"),
    };
  }
}

/** @param {number} a @param {number} b */
const larger = (a, b) => (Number.isNaN(a) || b > a ? b : a);

/**
 * Scales of a picture of `width` × `height` CSS pixels; a row's y is its middle.
 * @type {(rows: Range, powers: Limits, width: number, height: number) => Scales}
 */
export function scalesOf(rows, powers, width, height) {
  const y = linear(rows.from, rows.to, 0, height);
  return { x: linear(powers.low, powers.high, FRAME.left, width - FRAME.right), y: (row) => y(row + 0.5) };
}

/**
 * Draws the profile, and the pinned one behind it.
 * @param {Context} ctx @param {Size} size @param {StepProfile | null} profile @param {StepProfile | null} pinned
 * @param {StepScene} scene
 */
export function drawStep(ctx, size, profile, pinned, { rows, powers, threshold, theme }) {
  const scales = scalesOf(rows, powers, size.width, size.height);
  drawLines(ctx, size, rows, powers, scales, theme);
  drawThreshold(ctx, size, scales.x(Math.log10(threshold)), theme);
  if (pinned) drawProfile(ctx, pinned, powers, scales, size, theme, true);
  if (profile) {
    drawProfile(ctx, profile, powers, scales, size, theme, false);
    drawAbsent(ctx, profile, scales, size, theme);
  }
}

/** @type {(ctx: Context, size: Size, rows: Range, powers: Limits, scales: Scales, theme: Theme) => void} */
function drawLines(ctx, { width, height }, rows, powers, { x, y }, theme) {
  ctx.strokeStyle = theme.grid;
  for (const exponent of niceTicks(powers.low, powers.high, width / 60, { integers: true }))
    line(ctx, x(exponent), 0, x(exponent), height);
  if (y(1) - y(0) < 6) return;
  ctx.globalAlpha = 0.6;
  for (let row = Math.floor(rows.from); row < rows.to; row++) line(ctx, 0, y(row), width, y(row));
  ctx.globalAlpha = 1;
}

/**
 * The powers of ten below the profile.
 * @type {(ctx: Context, y: number, width: number, powers: Limits, theme: Theme) => void}
 */
export function drawPowers(ctx, y, width, powers, theme) {
  const x = linear(powers.low, powers.high, FRAME.left, width - FRAME.right);
  ctx.font = FONT;
  ctx.textAlign = "center";
  ctx.textBaseline = "top";
  ctx.fillStyle = theme.muted;
  for (const exponent of niceTicks(powers.low, powers.high, width / 60, { integers: true }))
    ctx.fillText(power(exponent), x(exponent), y + 6);
}

/** @type {(ctx: Context, size: Size, x: number, theme: Theme) => void} */
function drawThreshold(ctx, { height }, x, theme) {
  ctx.save();
  ctx.strokeStyle = theme.muted;
  ctx.setLineDash([2, 3]);
  line(ctx, x, 0, x, height);
  ctx.restore();
}

/**
 * @param {Context} ctx @param {StepProfile} profile @param {Limits} powers @param {Scales} scales @param {Size} size
 * @param {Theme} theme @param {boolean} hollow
 */
function drawProfile(ctx, profile, powers, { x, y }, { height }, theme, hollow) {
  /** @param {number} value */
  const held = (value) => x(Math.max(powers.low, Math.min(powers.high, value)));
  const dots = y(1) - y(0) >= DOTS_FROM;
  for (const { metric, color } of SERIES) {
    const points = profile.values[metric].map((value, row) => [held(value), y(row)]);
    ctx.globalAlpha = hollow ? 0.3 : 0.75;
    polyline(ctx, points, { color: theme[color], width: hollow ? 1 : 1.25, dash: hollow ? [3, 3] : [] });
    ctx.globalAlpha = hollow ? 0.7 : 1;
    for (const [px, py] of dots ? points : []) {
      if (Number.isNaN(px) || py < -5 || py > height + 5) continue;
      dot(
        ctx,
        px,
        py,
        hollow ? 2.5 : 3,
        hollow ? { fill: theme.paper, stroke: theme[color] } : { fill: theme[color] },
      );
    }
    ctx.globalAlpha = 1;
  }
}

/**
 * Marks non-finite sites at the right edge, and sites that no gradient reached by a dash at the left.
 * @type {(ctx: Context, profile: StepProfile, scales: Scales, size: Size, theme: Theme) => void}
 */
function drawAbsent(ctx, profile, { y }, { width }, theme) {
  const special = specialColors(theme.name);
  const size = Math.max(4, Math.min(10, y(1) - y(0) - 2));
  profile.present.forEach((present, row) => {
    ctx.fillStyle = present ? special.nonFinite : special.hatch;
    if (!present) ctx.fillRect(0, y(row) - 1, 6, 2);
    else if (profile.values.non_finite[row] > 0)
      ctx.fillRect(width - FRAME.right + 4, y(row) - size / 2, 10, size);
  });
}
