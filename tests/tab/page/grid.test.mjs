import assert from "node:assert/strict";
import { test } from "node:test";

import { MISSING, NON_FINITE, worse } from "../../../gradprof/tab/static/model/grid.js";
import { gridOf } from "./made.mjs";

const PARTLY = 4;

test("a line of each site, found by its index in the run", () => {
  const grid = gridOf([[1, 2, 3], [4, 5, 6]], { sites: [7, 2], flags: [[0, 1, 0], [2, 0, 0]] });
  assert.deepEqual([...grid.line(2).values], [4, 5, 6]);
  assert.deepEqual([...grid.line(7).flags], [0, 1, 0]);
  for (const unknown of [0, 1, -1, undefined]) assert.equal(grid.line(unknown), null);
});

test("the worse of two, NaN counting for nothing", () => {
  assert.equal(worse(-3, 2, false), 2);
  assert.equal(worse(-3, 2, true), -3);
  assert.equal(worse(2, -2, true), 2); // the first of equals
  assert.equal(worse(NaN, -Infinity, false), -Infinity);
  assert.equal(worse(-Infinity, NaN, true), -Infinity);
  assert.ok(Number.isNaN(worse(NaN, NaN, true)));
});

test("a group is in each column its worst member", () => {
  const grid = gridOf([[1, NaN, -5], [0, NaN, 4], [NaN, -Infinity, NaN]], {
    flags: [[0, MISSING, NON_FINITE], [0, MISSING, 0], [MISSING, 0, MISSING]],
  });
  const all = grid.worstOf([0, 1, 2], false);
  assert.deepEqual([...all.values], [1, -Infinity, 4]);
  assert.deepEqual([...all.flags], [PARTLY, PARTLY, NON_FINITE | PARTLY]);
  assert.deepEqual([...grid.worstOf([0, 1], true).values], [1, NaN, -5]);
  assert.deepEqual([...grid.worstOf([0, 1], true).flags], [0, MISSING, NON_FINITE]);
});

test("a group of one, of none, and with members that are not here", () => {
  const grid = gridOf([[1, 2]]);
  assert.deepEqual(grid.worstOf([0, 99], false), grid.line(0));
  assert.equal(grid.worstOf([], false), null);
  assert.equal(grid.worstOf([5, 6], false), null);
});

test("which cells there are that are no plain number", () => {
  const flags = [[NON_FINITE, MISSING, 0, 0, 0]];
  const none = { nonFinite: false, missing: false, zero: false, undefined: false };
  const seen = gridOf([[NaN, NaN, -Infinity, NaN, 3]], { flags }).special();
  assert.deepEqual(seen, { nonFinite: true, missing: true, zero: true, undefined: true });
  assert.deepEqual(gridOf([[1, Infinity]]).special(), none);
  assert.deepEqual(gridOf([]).special(), none);
  assert.deepEqual(gridOf([[NaN]], { flags: [[MISSING]] }).special(), { ...none, missing: true });
});

test("limits leave the rarest values out and stay with what is shown", () => {
  const values = Array.from({ length: 1000 }, (_, i) => i / 100);
  assert.deepEqual(gridOf([values], { range: { low: 4, high: 8 } }).limits(), { low: Math.fround(0.2), high: 8 });
  assert.deepEqual(gridOf([values], { range: { low: -4, high: 8 } }).limits(), { low: -4, high: 8 });
  for (const empty of [[], [[NaN, Infinity, -Infinity]]])
    assert.deepEqual(gridOf(empty, { range: { low: 0, high: 1 } }).limits(), { low: 0, high: 1 });
});

test("limits of very many values are taken from a sample", () => {
  const line = Float32Array.from({ length: 400_000 }, (_, i) => i % 100);
  const { low } = gridOf([[...line]], { range: { low: 50, high: 99 } }).limits();
  assert.ok(low <= 8, `${low}`);
});
