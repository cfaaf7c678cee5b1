// Replies of the routes made by hand, and what the page makes of them.

import { Grid } from "../../../gradprof/tab/static/model/grid.js";
import { RunInfo } from "../../../gradprof/tab/static/model/run_info.js";

/** Arrays that say where columns lie: each of `lengths` observed steps, every `spacing`th step observed. */
export function places(lengths, spacing = 1, from = 0) {
  let end = from;
  const ends = lengths.map((length) => (end += length));
  const firsts = lengths.map((length, column) => ends[column] - length);
  return {
    first_ordinal: Float64Array.from(firsts),
    last_ordinal: Float64Array.from(ends, (end) => end - 1),
    first_step: Float64Array.from(firsts, (ordinal) => ordinal * spacing),
    last_step: Float64Array.from(ends, (end) => (end - 1) * spacing),
  };
}

/** The grid of sites with one list of values each; `flags` likewise, none by default. */
export function gridOf(values, { flags = null, lengths = null, sites = null, range = { low: -9, high: 9 } } = {}) {
  const columns = values[0]?.length ?? 0;
  return new Grid({
    header: { sites: sites ?? values.map((_, site) => site), range },
    arrays: {
      ...places(lengths ?? Array(columns).fill(1)),
      values: Float32Array.from(values.flat()),
      flags: Uint8Array.from((flags ?? values.map((line) => line.map(() => 0))).flat()),
    },
  });
}

/** A run with these sites. */
export function runOf(labels, { run = "demo", n = 10 } = {}) {
  const sites = labels.map((label) => ({ label, kind: label.split("/")[0], shape: null }));
  const metrics = [{ name: "log10_abs_max", title: "log10 of the largest magnitude" }];
  const ends = n ? { first_step: 0, last_step: n - 1 } : { first_step: null, last_step: null };
  const kinds = [...new Set(sites.map(({ kind }) => kind))].map((name) => ({ name, title: `${name}s` }));
  return new RunInfo({ run, model: "Net", version: "1", n, ...ends, threshold: 1, kinds, sites, metrics });
}
