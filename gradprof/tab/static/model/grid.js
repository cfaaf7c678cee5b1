// One reply of the `heatmap` route: the values of every site over columns of one or more steps.

import { figure } from "./api.js";
import { Columns } from "./columns.js";

/** @import { Heatmap } from "./replies.js" */
/** @typedef {{values: Float32Array, flags: Uint8Array}} Line of one row over the columns */
/** @typedef {"nonFinite" | "missing" | "zero" | "undefined"} Special kinds of cells that are no plain number */

export const NON_FINITE = 1;
export const MISSING = 2;
const PARTLY_MISSING = 4;

const SAMPLE = 50_000; // values that limits are taken from

export class Grid extends Columns {
  /** @param {Heatmap} reply */
  constructor({ header, arrays }) {
    super(arrays);
    this.sites = header.sites;
    this.range = header.range;
    this.values = arrays.values;
    this.flags = arrays.flags;
    this.lineOf = new Map(header.sites.map((site, line) => [site, line]));
  }

  /** One site, by its index; null where the grid does not have it. @type {(site?: number) => Line | null} */
  line(site) {
    const line = site === undefined ? undefined : this.lineOf.get(site);
    if (line === undefined) return null;
    const [start, end] = [line * this.columns, (line + 1) * this.columns];
    return { values: this.values.subarray(start, end), flags: this.flags.subarray(start, end) };
  }

  /**
   * Several sites as one: in each column its worst member.
   * @type {(sites: number[], signed: boolean) => Line | null}
   */
  worstOf(sites, signed) {
    const lines = sites.map((site) => this.line(site)).filter((line) => line !== null);
    if (lines.length === 0) return null;
    if (lines.length === 1) return lines[0];
    const values = new Float32Array(this.columns).fill(NaN);
    const flags = new Uint8Array(this.columns);
    for (let column = 0; column < this.columns; column++) {
      let allMissing = true;
      for (const line of lines) {
        values[column] = worse(values[column], line.values[column], signed);
        if (line.flags[column] & MISSING) flags[column] |= PARTLY_MISSING;
        else allMissing = false;
        flags[column] |= line.flags[column] & (NON_FINITE | PARTLY_MISSING);
      }
      if (allMissing) flags[column] = MISSING;
    }
    return { values, flags };
  }

  /** Which kinds of cells that are no plain number there are. @returns {Record<Special, boolean>} */
  special() {
    const kinds = { nonFinite: false, missing: false, zero: false, undefined: false };
    this.values.forEach((value, at) => {
      const flags = this.flags[at];
      if (flags & NON_FINITE) kinds.nonFinite = true;
      else if (flags & MISSING) kinds.missing = true;
      else if (value === -Infinity) kinds.zero = true;
      else if (Number.isNaN(value)) kinds.undefined = true;
    });
    return kinds;
  }

  /** Colour limits that leave out the rarest values: suggested by the backend, and not above what is shown. */
  limits() {
    const stride = Math.ceil(this.values.length / SAMPLE);
    const shown = this.values.filter((value, at) => at % stride === 0 && Number.isFinite(value)).sort();
    const low = shown[Math.floor(0.02 * shown.length)] ?? NaN;
    const suggested = figure(this.range.low);
    return { low: low < suggested ? low : suggested, high: figure(this.range.high) };
  }
}

/**
 * The larger of two values (by magnitude where `signed`), NaN counting for nothing.
 * @type {(a: number, b: number, signed: boolean) => number}
 */
export function worse(a, b, signed) {
  if (Number.isNaN(a)) return b;
  if (Number.isNaN(b)) return a;
  if (signed) return Math.abs(b) > Math.abs(a) ? b : a;
  return b > a ? b : a;
}
