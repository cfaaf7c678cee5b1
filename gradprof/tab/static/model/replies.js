// What the routes answer, as types; what it means is said in gradprof/tab, beside the code that answers.

/** @typedef {number | "inf" | "-inf" | null} Figure a float in JSON, see `figure` in api.js */
/** @typedef {Record<string, Figure>} Figures by name of a metric, statistic or scalar */

/** @typedef {{run: string, steps: number | null, error: string | null}} ListedRun */
/** @typedef {{runs: ListedRun[]}} Runs */

/** @typedef {{label: string, kind: string, shape: number[] | null}} Site */
/** @typedef {{name: string, title: string}} Kind of site, with its name for people */
/** @typedef {{name: string, title: string}} Metric */
/**
 * @typedef {object} Run
 * @property {string} run
 * @property {string} model
 * @property {string} version
 * @property {number} n observed steps
 * @property {number | null} first_step
 * @property {number | null} last_step
 * @property {number} threshold
 * @property {Kind[]} kinds that it has, in their usual order
 * @property {Site[]} sites in model order
 * @property {Metric[]} metrics
 */

/**
 * One site at one step.
 * @typedef {object} Cell
 * @property {string} site
 * @property {number} step
 * @property {number} ordinal
 * @property {boolean} missing
 * @property {Figures} metrics
 * @property {Figures} stats
 * @property {Figures} scalars
 */

/**
 * All sites at one step: `metrics` has one figure for each site of the run, `sites` are indices of those with a row.
 * @typedef {{step: number, ordinal: number, sites: number[], metrics: Record<string, Figure[]>, scalars: Figures}} Step
 */

/** @typedef {"first_ordinal" | "last_ordinal" | "first_step" | "last_step"} Place */
/** @typedef {Record<Place, Float64Array>} Places of columns, `[columns]` each */

/** @typedef {{sites: number[], range: {low: Figure, high: Figure}}} HeatmapHeader */
/** @typedef {Places & {values: Float32Array, flags: Uint8Array}} HeatmapArrays `[sites, columns]` */
/** @typedef {{header: HeatmapHeader, arrays: HeatmapArrays}} Heatmap */

/** @typedef {"p01" | "median" | "p99" | "abs_max" | "abs_min"} Magnitude log10 of it, `[columns]` */
/** @typedef {"numel" | "n_zero" | "non_finite"} Count `[columns]` */
/** @typedef {Record<Magnitude, Float32Array> & Record<Count, Float64Array> & {hist: Float32Array}} Distribution */
/** @typedef {{header: {bin_edges_log10: number[]}, arrays: Places & Distribution}} SiteHistory */

export {};
