import assert from "node:assert/strict";
import { test } from "node:test";

import { SiteData } from "../../../gradprof/tab/static/draw/site_picture.js";
import { MISSING, NON_FINITE } from "../../../gradprof/tab/static/model/grid.js";
import { mapTable } from "../../../gradprof/tab/static/views/map_export.js";
import { siteTable } from "../../../gradprof/tab/static/views/site_export.js";
import { stepTable } from "../../../gradprof/tab/static/views/step_export.js";
import { gridOf, places, runOf } from "./made.mjs";

const row = (...sites) => ({ key: sites[0], label: sites[0], path: sites[0], title: "", sites, group: null });
const LABELS = ["param/a", "param/b", "param/c"];

test("the map's table has the cells in view", () => {
  const grid = gridOf([[0.1, NaN, 2], [NaN, -Infinity, Infinity]], { flags: [[0, NON_FINITE, 0], [MISSING, 0, 0]] });
  const layer = { grid, lines: [grid.line(0), null, grid.line(1)] };
  const panel = { info: runOf(LABELS, { n: 3 }), layers: [layer] };
  const table = mapTable([panel], { from: 0.5, to: 2 }, { from: 0, to: 3 }, LABELS.map((label) => row(label)), "log10_l2");
  assert.deepEqual(table, [
    ["run", "site", "first_step", "last_step", "log10_l2", "non_finite", "missing"],
    ["demo", "param/a", 0, 0, "0.1", 0, 0],
    ["demo", "param/a", 1, 1, "", 1, 0],
    ["demo", "param/c", 0, 0, "", 0, 1],
    ["demo", "param/c", 1, 1, "-inf", 0, 0],
  ]);
});

test("the map's table is of the finest layer that holds all in view", () => {
  const layerOf = (grid) => ({ grid, lines: [grid.line(0)] });
  const layers = [layerOf(gridOf([[1, 2]])), layerOf(gridOf([[5]], { lengths: [4] }))];
  const panel = { info: runOf(LABELS, { n: 4 }), layers };
  const lines = (columns, shown = panel) => mapTable([shown], columns, { from: 0, to: 1 }, [row("param/a")], "m").length - 1;
  assert.equal(lines({ from: 0, to: 2 }), 2);
  assert.equal(lines({ from: 0, to: 3 }), 1);
  assert.equal(lines({ from: 0, to: 9 }), 1); // beside a longer run
  assert.equal(lines({ from: 0, to: 2 }, { ...panel, layers: [] }), 0);
});

test("a site's table", () => {
  const two = (...values) => Float32Array.of(...values);
  const logs = { p01: two(-5, NaN), median: two(-4, NaN), p99: two(-3, NaN), abs_max: two(-2.5, NaN), abs_min: two(-Infinity, NaN) };
  const counts = { numel: Float64Array.of(2 ** 40, 0), n_zero: Float64Array.of(1, 0), non_finite: Float64Array.of(7, 0) };
  const arrays = { ...places([2, 1], 10), ...logs, ...counts, hist: new Float32Array(0) };
  const data = new SiteData({ header: { bin_edges_log10: [0, 1] }, arrays });
  const [header, ...lines] = siteTable(
    [{ info: runOf(LABELS), site: "param/a", data }, { info: runOf(LABELS), site: "param/a", data: null }],
    { from: 0, to: 3 },
  );
  assert.equal(header.length, lines[0].length);
  assert.deepEqual(lines, [
    ["demo", "param/a", 0, 10, "-5", "-4", "-3", "-2.5", "-inf", 1, 7, 2 ** 40],
    ["demo", "param/a", 20, 20, "", "", "", "", "", 0, 0, 0],
  ]);
});

test("a step's table has each site's own figures, also behind a site without a row", () => {
  const metrics = { log10_l2: [-1, null, "-inf"], zero_share: [0, null, 1] };
  const reply = { step: 20, ordinal: 2, sites: [0, 2], metrics, scalars: {} };
  const panel = { info: runOf(LABELS), replies: { 2: reply } };
  const rows = [row("param/b", "param/c"), row("param/a")];
  assert.deepEqual(stepTable([panel], rows, ["log10_l2", "zero_share"]), [
    ["run", "step", "site", "log10_l2", "zero_share"],
    ["demo", 20, "param/a", "-1", "0"],
    ["demo", 20, "param/c", "-inf", "1"],
  ]);
  assert.equal(stepTable([panel], [row("param/b")], ["log10_l2"]).length, 1);
  assert.equal(stepTable([{ ...panel, replies: {} }], rows, []).length, 1);
});
