// The colour scale: a bar, its limits to be changed, and what the colours outside the scale mean.

import { number } from "../model/format.js";
import { FONT } from "../draw/axes.js";
import { specialColors } from "../draw/colors.js";
import { h } from "./dom.js";

/** @import { Context, Theme, ThemeName } from "../draw/axes.js" */
/** @import { Scale } from "../draw/colors.js" */
/** @import { Special } from "../model/grid.js" */

const BAR = 150;

export class Legend {
  /** @param {(limits: {low?: number | null, high?: number | null}) => void} onLimits null for the suggested ones */
  constructor(onLimits) {
    this.onLimits = onLimits;
    this.metric = "";
    this.low = this.#limit("low", "Lowest colour at");
    this.high = this.#limit("high", "Highest colour at");
    this.bar = h("span", { class: "bar" });
    this.reset = h(
      "button",
      { class: "plain", title: "Limits as suggested", onclick: () => onLimits({ low: null, high: null }) },
      "Auto",
    );
    this.keys = h("span", { class: "keys" });
    this.element = h(
      "div",
      { class: "legend", role: "group", "aria-label": "Colours" },
      this.low,
      this.bar,
      this.high,
      this.reset,
      this.keys,
    );
  }

  /**
   * @param {string} metric @param {Scale} scale @param {ThemeName} theme @param {boolean} isAuto
   * @param {Record<Special, boolean>} present which special cells there are
   */
  show(metric, scale, theme, isAuto, present) {
    this.metric = metric;
    this.bar.style.background = scale.css;
    if (document.activeElement !== this.low) this.low.value = limitText(metric, scale.low);
    if (document.activeElement !== this.high) this.high.value = limitText(metric, scale.high);
    this.reset.hidden = isAuto;
    this.keys.replaceChildren(
      ...keysOf(present, theme).map(({ name, style }) => h("span", { class: "key" }, h("i", { style }), name)),
    );
  }

  /** @param {"low" | "high"} end @param {string} label */
  #limit(end, label) {
    const input = h("input", {
      type: "text",
      size: 6,
      inputmode: "decimal",
      class: "limit",
      "aria-label": label,
      title: label,
      "data-limit": end,
    });
    input.addEventListener("change", () => {
      const value = limitOf(this.metric, input.value);
      if (Number.isFinite(value)) this.onLimits({ [end]: value });
      input.blur();
    });
    return input;
  }
}

/** Limits are written as plain numbers, also where the scale is logarithmic. */
/** @param {string} metric */
const isLog = (metric) => metric.startsWith("log10_") || metric === "l2_change";
/** @param {string} metric @param {number} value */
const limitText = (metric, value) => (isLog(metric) ? plain(10 ** value) : plain(value));

/** @param {string} metric @param {string} text */
function limitOf(metric, text) {
  const value = Number(text.replace("−", "-").trim() || NaN);
  return isLog(metric) ? Math.log10(value) : value;
}

/** @param {number} value */
function plain(value) {
  if (value === 0) return "0";
  const short = value.toPrecision(2);
  return Math.abs(value) >= 0.01 && Math.abs(value) < 1000
    ? String(Number(short))
    : Number(short).toExponential();
}

/** @type {(present: Record<Special, boolean>, theme: ThemeName) => {name: string, style: string}[]} */
function keysOf(present, theme) {
  const special = specialColors(theme);
  const hatch = `repeating-linear-gradient(135deg, ${special.hatch} 0 1.5px, ${special.missing} 1.5px 4px)`;
  const keys = [
    { there: present.nonFinite, name: "NaN, inf", style: `background:${special.nonFinite}` },
    { there: present.missing, name: "no gradient", style: `background:${hatch}` },
    { there: present.zero, name: "all zero", style: `background:${special.zero}` },
    { there: present.undefined, name: "undefined", style: `background:${special.undefined}` },
  ];
  return keys.filter(({ there }) => there);
}

/**
 * The bar and its limits on a canvas, its right end at x.
 * @type {(ctx: Context, x: number, y: number, metric: string, scale: Scale, theme: Theme) => void}
 */
export function paintLegend(ctx, x, y, metric, scale, theme) {
  ctx.font = FONT;
  ctx.textBaseline = "middle";
  ctx.textAlign = "right";
  ctx.fillStyle = theme.muted;
  const high = number(isLog(metric) ? 10 ** scale.high : scale.high);
  ctx.fillText(high, x, y + 6);
  const right = x - ctx.measureText(high).width - 6;
  const gradient = ctx.createLinearGradient(right - BAR, 0, right, 0);
  scale.stops.forEach((stop, i) => gradient.addColorStop(i / (scale.stops.length - 1), stop));
  ctx.fillStyle = gradient;
  ctx.fillRect(right - BAR, y, BAR, 12);
  ctx.fillStyle = theme.muted;
  ctx.fillText(number(isLog(metric) ? 10 ** scale.low : scale.low), right - BAR - 6, y + 6);
}
