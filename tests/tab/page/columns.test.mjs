import assert from "node:assert/strict";
import { test } from "node:test";

import { Columns } from "../../../gradprof/tab/static/model/columns.js";
import { places } from "./made.mjs";

test("every ordinal lies in its column", () => {
  const lengths = [1, 8, 3, 64, 2];
  const columns = new Columns(places(lengths, 2, 5));
  const expected = lengths.flatMap((length, column) => Array(length).fill(column));
  assert.deepEqual([columns.from, columns.to, columns.columns], [5, 83, 5]);
  expected.forEach((column, i) => assert.equal(columns.columnAt(5 + i), column, `ordinal ${5 + i}`));
  for (const outside of [-1, 4, 83, Infinity, -Infinity]) assert.equal(columns.columnAt(outside), -1);
});

test("no column at all", () => {
  const none = new Columns(places([]));
  assert.deepEqual([none.from, none.to, none.columns], [0, 0, 0]);
  assert.equal(none.columnAt(0), -1);
  assert.ok(Number.isNaN(none.stepAt(0)));
  assert.deepEqual([...none.within({ from: 0, to: 9 })], []);
  assert.ok(!none.covers({ from: 0, to: 1 }));
});

test("steps are read between the ends of a column", () => {
  const columns = new Columns(places([4, 1, 2], 10));
  assert.equal(columns.stepAt(0), 0);
  assert.equal(columns.stepAt(1.5), 15);
  assert.equal(columns.stepAt(3.9), 30); // not beyond the column's last
  assert.equal(columns.stepAt(4.7), 40); // one step, as wide as it is
  assert.equal(columns.stepAt(6), 60);
  assert.ok(Number.isNaN(columns.stepAt(7)));
  assert.ok(Number.isNaN(columns.stepAt(-0.1)));
});

test("spans, and what is here", () => {
  const columns = new Columns(places([4, 1, 2], 10, 100));
  assert.deepEqual(columns.span(1), { from: 104, to: 105, first_step: 1040, last_step: 1040 });
  assert.deepEqual(columns.span(0, 2), { from: 100, to: 107, first_step: 1000, last_step: 1060 });
  assert.ok(columns.covers({ from: 100, to: 107 }));
  assert.ok(!columns.covers({ from: 99.9, to: 107 }));
  assert.ok(!columns.covers({ from: 100, to: 107.1 }));
  assert.deepEqual([...columns.within({ from: 103.9, to: 105.5 })], [0, 1, 2]);
  assert.deepEqual([...columns.within({ from: 104, to: 105 })], [1]);
});

test("very many columns, at steps beyond what 32 bits hold", () => {
  const n = 100_000;
  const ordinals = Float64Array.from({ length: n }, (_, i) => i);
  const steps = ordinals.map((ordinal) => ordinal * 2 ** 33);
  const columns = new Columns({ first_ordinal: ordinals, last_ordinal: ordinals, first_step: steps, last_step: steps });
  for (const ordinal of [0, 1, 4095, 65536, n - 1]) {
    assert.equal(columns.columnAt(ordinal), ordinal);
    assert.equal(columns.stepAt(ordinal), ordinal * 2 ** 33);
  }
});
