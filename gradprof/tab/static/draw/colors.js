// From a value to a colour. Both scales are perceptually even and safe for colour-blind people; what is no
// plain number (non-finite, missing, undefined, all zero) has a colour or pattern that no scale contains.

/** @import { ThemeName } from "./axes.js" */
/** @import { Limits } from "./plot.js" */

// viridis, at 16 even points
const SEQUENTIAL = [
  "#440154",
  "#481a6c",
  "#472f7d",
  "#414487",
  "#39568c",
  "#31688e",
  "#2a788e",
  "#23888e",
  "#1f988b",
  "#22a884",
  "#35b779",
  "#54c568",
  "#7ad151",
  "#a5db36",
  "#d2e21b",
  "#fde725",
];
// blue for less, orange for more; the middle is calm on the page that it lies on
const DIVERGING = {
  light: ["#0b3c78", "#2f73b5", "#7fb2d9", "#cfe0ee", "#f2f2f0", "#f6dcc2", "#eba35f", "#c8641b", "#7f3300"],
  dark: ["#a8d4ff", "#5b9fe0", "#2c66a8", "#1f3d5e", "#23272d", "#593d1f", "#a5601f", "#e8963e", "#ffd7a3"],
};
// how many values lie in a bin: none is the page itself
const DENSITY = {
  light: ["#ffffff", "#e3edf6", "#b5d2e8", "#6fa9d3", "#2f76b2", "#124a86", "#082a52"],
  dark: ["#16191d", "#1a2938", "#214263", "#2f629a", "#4484c2", "#6ea8dd"],
};
const SPECIAL = {
  light: {
    nonFinite: "#ff2fa0",
    nonFiniteEdge: "#ffffff",
    zero: "#101014",
    undefined: "#dfe2e7",
    missing: "#f4f5f7",
    hatch: "#c3c8d0",
    gap: "#ffffff",
  },
  dark: {
    nonFinite: "#ff4fb0",
    nonFiniteEdge: "#ffffff",
    zero: "#000000",
    undefined: "#3b4048",
    missing: "#202429",
    hatch: "#474d57",
    gap: "#16191d",
  },
};
/** @typedef {keyof typeof SPECIAL.light} SpecialColor */
const STEPS = 256;

/** Colours of the special cells as CSS text, for a theme. @param {ThemeName} theme */
export const specialColors = (theme) => SPECIAL[theme];

/** Words for shares from 0 to 1 of the fullest bin. @param {ThemeName} theme */
export const densityWords = (theme) => wordsOf(DENSITY[theme]);

/** @param {string[]} stops */
const wordsOf = (stops) => Uint32Array.from({ length: STEPS }, (_, i) => word(mix(stops, i / (STEPS - 1))));

/** A colour as one little-endian RGBA word of an ImageData. @param {string} css */
export function word(css) {
  const [r, g, b] = channels(css);
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

/** Colours from `low` to `high`; what lies outside has the colour of the nearer end. */
export class Scale {
  /** @param {string} metric @param {number} low @param {number} high @param {ThemeName} theme */
  constructor(metric, low, high, theme) {
    this.low = low;
    this.high = high;
    this.stops = isSigned(metric) ? DIVERGING[theme] : SEQUENTIAL;
    this.words = wordsOf(this.stops);
  }

  /** The word of a finite value. @param {number} value */
  word(value) {
    const share = this.high === this.low ? Number(value > this.low) : (value - this.low) / (this.high - this.low);
    return this.words[Math.min(STEPS - 1, Math.max(0, Math.round(share * (STEPS - 1))))];
  }

  /** As a CSS gradient from left to right. */
  get css() {
    return `linear-gradient(to right, ${this.stops.join(", ")})`;
  }
}

/** Whether values of a metric go both ways from 0. @param {string} metric */
export const isSigned = (metric) => metric === "l2_change";

/**
 * Colour limits for a metric from the ranges that the backend suggests for each run shown.
 * @type {(metric: string, ranges: Limits[]) => Limits}
 */
export function suggestedLimits(metric, ranges) {
  const known = ranges.filter((range) => Number.isFinite(range.low) && Number.isFinite(range.high));
  let low = known.length ? Math.min(...known.map((range) => range.low)) : 0;
  let high = known.length ? Math.max(...known.map((range) => range.high)) : 1;
  if (isSigned(metric)) {
    high = Math.max(Math.abs(low), Math.abs(high), 0.3);
    low = -high;
  } else if (!metric.startsWith("log10_")) {
    low = 0;
    high = high > 0 ? high : 1;
  }
  const least = metric.startsWith("log10_") ? 0.5 : 0;
  if (high - low < least) {
    const middle = (low + high) / 2;
    [low, high] = [middle - least / 2, middle + least / 2];
  }
  return { low, high };
}

/** `stops` read at `place` between 0 and 1, as CSS text. @param {string[]} stops @param {number} place */
function mix(stops, place) {
  const at = place * (stops.length - 1);
  const i = Math.min(stops.length - 2, Math.floor(at));
  const [a, b] = [channels(stops[i]), channels(stops[i + 1])];
  return `#${a.map((v, c) => hex(v + (b[c] - v) * (at - i))).join("")}`;
}

/** @param {string} css */
const channels = (css) => [1, 3, 5].map((at) => parseInt(css.slice(at, at + 2), 16));
/** @param {number} value */
const hex = (value) => Math.round(value).toString(16).padStart(2, "0");
