import assert from "node:assert/strict";
import { test } from "node:test";

import * as site from "../../../gradprof/tab/static/draw/site_picture.js";
import * as step from "../../../gradprof/tab/static/draw/step_picture.js";
import { places, runOf } from "./made.mjs";

const row = (...sites) => ({ key: sites[0], label: sites[0], path: sites[0], title: "", sites, group: null });

/** A reply of the `step` route: figures of every site of the run, those in `sites` with a row. */
function stepOf(sites, abs_max, non_finite = abs_max.map(() => 0)) {
  const metrics = { log10_abs_max: abs_max, log10_l2: abs_max.map((value) => value), non_finite };
  return { step: 20, ordinal: 10, sites, metrics, scalars: {} };
}

test("a step's profile has each site's own figures, also behind a site without a row", () => {
  const info = runOf(["param/a", "param/b", "param/c"]);
  const rows = ["param/a", "param/b", "param/c"].map((label) => row(label));
  const profile = new step.StepProfile(stepOf([0, 2], [-1, null, -3], [0, null, 4]), rows, info);
  assert.deepEqual(profile.values.log10_abs_max, [-1, NaN, -3]);
  assert.deepEqual(profile.values.non_finite, [0, NaN, 4]);
  assert.deepEqual(profile.present, [true, false, true]);
});

test("a row of a profile is the worst of its members, and of none is nothing", () => {
  const info = runOf(["param/a", "param/b", "param/c"]);
  const rows = [row("param/c", "param/a"), row("param/b"), row("param/elsewhere"), row()];
  const profile = new step.StepProfile(stepOf([0, 1, 2], [null, "-inf", "inf"]), rows, info);
  assert.deepEqual(profile.values.log10_l2, [Infinity, -Infinity, NaN, NaN]);
  assert.deepEqual(profile.present, [true, true, false, false]);
});

test("a row's place is its middle", () => {
  const { x, y } = step.scalesOf({ from: 2, to: 4 }, { low: -3, high: 1 }, 240, 100);
  assert.deepEqual([y(2), y(3)], [25, 75]);
  assert.deepEqual([x(-3), x(1)], [step.FRAME.left, 240 - step.FRAME.right]);
});

test("a column of a site has a row, or none", () => {
  const arrays = { ...places([1, 2]), numel: Float64Array.of(0, 64), hist: new Float32Array(256) };
  const data = new site.SiteData({ header: { bin_edges_log10: Array(129).fill(0) }, arrays });
  assert.deepEqual([data.has(0), data.has(1), data.bins, data.columnAt(2)], [false, true, 128, 1]);
});

test("a site's scales leave room for its axes", () => {
  const { x, y } = site.scalesOf({ from: 10, to: 20 }, { low: -5, high: 0 }, 400, 300);
  assert.deepEqual([x(10), x(20)], [site.FRAME.left, 400 - site.FRAME.right]);
  assert.equal(y(-5), 300 - site.FRAME.bottom);
  assert.ok(y(0) > site.FRAME.top);
});
