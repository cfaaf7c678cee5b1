// Columns of one or more steps each, as the `heatmap` and `site` routes give them.

/** @import { Places } from "./replies.js" */
/** @import { Range } from "./viewport.js" */
/** @typedef {Range & {first_step: number, last_step: number}} Span */

export class Columns {
  /** @param {Places} arrays */
  constructor(arrays) {
    this.firstOrdinals = arrays.first_ordinal;
    this.lastOrdinals = arrays.last_ordinal;
    this.firstSteps = arrays.first_step;
    this.lastSteps = arrays.last_step;
    this.columns = this.firstOrdinals.length;
    this.from = this.columns ? this.firstOrdinals[0] : 0;
    this.to = this.columns ? this.lastOrdinals[this.columns - 1] + 1 : 0;
  }

  /** The column that holds an ordinal, or -1. @param {number} ordinal */
  columnAt(ordinal) {
    if (ordinal < this.from || ordinal >= this.to) return -1;
    let [low, high] = [0, this.columns - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.firstOrdinals[middle] <= ordinal) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The step at a fractional ordinal, read between the ends of its column. @param {number} ordinal */
  stepAt(ordinal) {
    const column = this.columnAt(Math.floor(ordinal));
    if (column < 0) return NaN;
    const [first, last] = [this.firstOrdinals[column], this.lastOrdinals[column]];
    const share = last === first ? 0 : Math.min(1, (ordinal - first) / (last - first));
    return this.firstSteps[column] + share * (this.lastSteps[column] - this.firstSteps[column]);
  }

  /** The ordinals and steps of a span of columns, both included. @type {(c0: number, c1?: number) => Span} */
  span(c0, c1 = c0) {
    return {
      from: this.firstOrdinals[c0],
      to: this.lastOrdinals[c1] + 1,
      first_step: this.firstSteps[c0],
      last_step: this.lastSteps[c1],
    };
  }

  /** Whether all of the steps between two ordinals are here. @param {Range} range */
  covers({ from, to }) {
    return this.from <= from && to <= this.to;
  }

  /** The columns that overlap a range of ordinals. @param {Range} range */
  *within({ from, to }) {
    for (let column = 0; column < this.columns; column++) {
      if (this.lastOrdinals[column] >= Math.floor(from) && this.firstOrdinals[column] < to) yield column;
    }
  }
}
