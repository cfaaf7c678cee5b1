// The profile of one step over depth: sites down in model order, log10 across; the largest magnitude and the
// L2 norm of each site, and those of a pinned step as hollow points. Pure drawing.

import { figure } from "../model/api.js";
import { power } from "../model/format.js";
import { FONT, line, niceTicks } from "./axes.js";
import { specialColors } from "./colors.js";
import { dot, linear, polyline } from "./plot.js";

export const FRAME = { left: 18, right: 22 };
export const SERIES = [
  ["log10_abs_max", "largest |g|", "warm"],
  ["log10_l2", "L2 norm", "accent"],
];
const DOTS_FROM = 4; // CSS pixels of a row

/** A reply of the `step` route by rows: for each metric the worst of a row's members, NaN where none came. */
export class StepProfile {
  constructor(reply, rows, info) {
    this.step = reply.step;
    this.scalars = reply.scalars ?? {};
    const lineOf = new Map(reply.sites.map((site, at) => [site, at]));
    const lines = rows.map((row) =>
      row.sites.map((label) => lineOf.get(info.indexOf.get(label))).filter((at) => at !== undefined),
    );
    this.present = lines.map((members) => members.length > 0);
    const worst = (name) =>
      lines.map((members) =>
        members.reduce((most, at) => larger(most, figure(reply.metrics[name][at])), NaN),
      );
    this.values = Object.fromEntries(
      [...SERIES.map(([name]) => name), "non_finite"].map((name) => [name, worst(name)]),
    );
  }
}

const larger = (a, b) => (Number.isNaN(a) || b > a ? b : a);

/** Scales of a picture of `width` × `height` CSS pixels; a row's y is its middle. */
export function scalesOf(rows, powers, width, height) {
  const y = linear(rows.from, rows.to, 0, height);
  return { x: linear(powers.low, powers.high, FRAME.left, width - FRAME.right), y: (row) => y(row + 0.5) };
}

/** Draws the profile, and the pinned one behind it. */
export function drawStep(ctx, size, profile, pinned, { rows, powers, threshold, theme }) {
  const scales = scalesOf(rows, powers, size.width, size.height);
  drawLines(ctx, size, rows, powers, scales, theme);
  drawThreshold(ctx, size, scales.x(Math.log10(threshold)), theme);
  if (pinned) drawProfile(ctx, pinned, rows, powers, scales, size, theme, true);
  if (profile) {
    drawProfile(ctx, profile, rows, powers, scales, size, theme, false);
    drawAbsent(ctx, profile, rows, scales, size, theme);
  }
}

function drawLines(ctx, { width, height }, rows, powers, { x, y }, theme) {
  ctx.strokeStyle = theme.grid;
  for (const exponent of niceTicks(powers.low, powers.high, width / 60, { integers: true }))
    line(ctx, x(exponent), 0, x(exponent), height);
  if (y(1) - y(0) < 6) return;
  ctx.globalAlpha = 0.6;
  for (let row = Math.floor(rows.from); row < rows.to; row++) line(ctx, 0, y(row), width, y(row));
  ctx.globalAlpha = 1;
}

/** The powers of ten below the profile. */
export function drawPowers(ctx, y, width, powers, theme) {
  const x = linear(powers.low, powers.high, FRAME.left, width - FRAME.right);
  ctx.font = FONT;
  ctx.textAlign = "center";
  ctx.textBaseline = "top";
  ctx.fillStyle = theme.muted;
  for (const exponent of niceTicks(powers.low, powers.high, width / 60, { integers: true }))
    ctx.fillText(power(exponent), x(exponent), y + 6);
}

function drawThreshold(ctx, { height }, x, theme) {
  ctx.save();
  ctx.strokeStyle = theme.muted;
  ctx.setLineDash([2, 3]);
  line(ctx, x, 0, x, height);
  ctx.restore();
}

function drawProfile(ctx, profile, rows, powers, { x, y }, { height }, theme, hollow) {
  const held = (value) => x(Math.max(powers.low, Math.min(powers.high, value)));
  const dots = y(1) - y(0) >= DOTS_FROM;
  for (const [name, , color] of SERIES) {
    const points = profile.values[name].map((value, row) => [held(value), y(row)]);
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

/** Marks non-finite sites at the right edge, and sites that no gradient reached by a dash at the left. */
function drawAbsent(ctx, profile, rows, { y }, { width }, theme) {
  const special = specialColors(theme.name);
  const size = Math.max(4, Math.min(10, y(1) - y(0) - 2));
  profile.present.forEach((present, row) => {
    ctx.fillStyle = present ? special.nonFinite : special.hatch;
    if (!present) ctx.fillRect(0, y(row) - 1, 6, 2);
    else if (profile.values.non_finite[row] > 0)
      ctx.fillRect(width - FRAME.right + 4, y(row) - size / 2, 10, size);
  });
}
