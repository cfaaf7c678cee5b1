import assert from "node:assert/strict";
import { test } from "node:test";

import { fit, niceTicks, stepTicks } from "../../../gradprof/tab/static/draw/axes.js";

test("round values within the limits", () => {
  assert.deepEqual(niceTicks(0, 10, 5), [0, 2, 4, 6, 8, 10]);
  assert.deepEqual(niceTicks(-0.25, 0.3, 5), [-0.2, 0, 0.2]);
  assert.deepEqual(niceTicks(0, 3, 9, { integers: true }), [0, 1, 2, 3]);
  assert.deepEqual(niceTicks(-7.5, -2.5, 2, { integers: true }), [-5]);
  assert.deepEqual(niceTicks(0, 0.9, 3, { integers: true }), [0]);
});

test("limits that are no range", () => {
  assert.deepEqual(niceTicks(5, 5, 4), [5]);
  assert.deepEqual(niceTicks(5, 4, 4), [5]);
  assert.deepEqual(niceTicks(NaN, 4, 4), [NaN]);
  assert.deepEqual(niceTicks(0, 100, 0), [0, 100]);
});

test("never many more than asked for, whatever the size", () => {
  for (const size of [1e-300, 1e-9, 0.3, 7, 999, 2 ** 53, 1e300]) {
    const ticks = niceTicks(0, size, 8);
    assert.ok(ticks.length >= 3 && ticks.length <= 10, `${size}: ${ticks}`);
    assert.ok(ticks.every((tick) => tick >= 0 && tick <= size * (1 + 1e-9)));
  }
});

test("ticks stand at the middle of their steps", () => {
  const ticks = stepTicks({ from: 0, to: 100 }, 1000, (ordinal) => 2 * ordinal);
  assert.ok(ticks.length > 3);
  for (const { step, x } of ticks) assert.ok(Math.abs(x - (step / 2 + 0.5) * 10) < 0.05, `step ${step} at ${x}`);
});

test("one step, and none", () => {
  assert.deepEqual(stepTicks({ from: 0, to: 1 }, 300, () => 42).map(({ step }) => step), [42]);
  assert.deepEqual(stepTicks({ from: 0, to: 10 }, 300, () => NaN), []);
});

test("text loses its start", () => {
  const ctx = { measureText: (text) => ({ width: [...text].length * 10 }) };
  assert.equal(fit(ctx, "layer1.conv", 110), "layer1.conv");
  assert.equal(fit(ctx, "layer1.conv", 60), "….conv");
  assert.equal(fit(ctx, "layer1.conv", 0), "…");
  assert.equal(fit(ctx, "", 0), "");
});
