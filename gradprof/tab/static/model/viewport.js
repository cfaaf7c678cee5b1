// Zoom and pan on one axis: a range {from, to} inside the limits [0, size). Pure functions.

/** @typedef {{from: number, to: number}} Range */

/**
 * `range` scaled by `factor` about the point `at`, never smaller than `least` nor beyond the limits.
 * @type {(range: Range, factor: number, at: number, size: number, least?: number) => Range}
 */
export function zoom(range, factor, at, size, least = 1) {
  const span = Math.min(size, Math.max(Math.min(least, size), (range.to - range.from) * factor));
  const share = (at - range.from) / (range.to - range.from);
  return clamp({ from: at - share * span, to: at + (1 - share) * span }, size);
}

/** @type {(range: Range, delta: number, size: number) => Range} */
export function pan(range, delta, size) {
  return clamp({ from: range.from + delta, to: range.to + delta }, size);
}

/**
 * `range` moved as little as brings all of [at, at + 1) into it; null if it is there already.
 * @type {(range: Range, at: number, size: number) => Range | null}
 */
export function reveal(range, at, size) {
  const beyond = Math.min(0, at - range.from) + Math.max(0, at + 1 - range.to);
  return beyond === 0 ? null : pan(range, beyond, size);
}

/** Moves `range` into the limits, keeping its span where it fits. @type {(range: Range, size: number) => Range} */
function clamp({ from, to }, size) {
  const span = Math.min(to - from, size);
  const start = Math.max(0, Math.min(from, size - span));
  return { from: start, to: start + span };
}

/**
 * The range of two state fields; null stands for everything.
 * @type {(from: number | null, to: number | null, size: number) => Range}
 */
export function rangeOf(from, to, size) {
  if (from === null || to === null || !(to > from)) return { from: 0, to: size };
  return clamp({ from, to }, size);
}

/** @type {(range: Range, size: number) => boolean} */
export const isWhole = ({ from, to }, size) => from <= 0 && to >= size;
