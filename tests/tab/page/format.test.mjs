import assert from "node:assert/strict";
import { test } from "node:test";

import { count, exactFloat32, metricValue, number, plural, power, share, stepSpan } from "../../../gradprof/tab/static/model/format.js";

const each = (function_, pairs) => {
  for (const [value, text] of pairs) assert.equal(function_(value), text, `of ${value}`);
};

test("three digits, whatever the size", () => {
  each(number, [
    [NaN, "–"],
    [Infinity, "∞"],
    [-Infinity, "−∞"],
    [0, "0"],
    [-0, "0"],
    [0.021349, "0.0213"],
    [41.46, "41.5"],
    [-41.46, "−41.5"],
    [1, "1"],
    [9999, "10000"],
    [10000, "1.00e+4"],
    [0.001, "0.001"],
    [0.00099951, "1.00e-3"],
    [-3.2e-5, "−3.20e-5"],
    [5e-324, "4.94e-324"],
    [Number.MAX_VALUE, "1.80e+308"],
  ]);
});

test("counts", () => {
  each(count, [
    [0, "0"],
    [999, "999"],
    [2 ** 53, "9,007,199,254,740,992"],
  ]);
  assert.equal(plural(1, "step"), "1 step");
  assert.equal(plural(0, "step"), "0 steps");
  assert.equal(plural(1234, "entry", "entries"), "1,234 entries");
  assert.equal(stepSpan(1200, 1200), "step 1,200");
  assert.equal(stepSpan(0, 7), "steps 0–7");
});

test("a metric in its own words", () => {
  assert.equal(metricValue("log10_l2", -3), "0.001");
  assert.equal(metricValue("log10_l2", -Infinity), "0");
  assert.equal(metricValue("log10_l2", NaN), "undefined");
  assert.equal(metricValue("log10_abs_max", 308), "1.00e+308");
  assert.equal(metricValue("l2_change", 0), "× 1");
  assert.equal(metricValue("l2_change", -Infinity), "fell to 0");
  assert.equal(metricValue("non_finite", 12345), "12,345");
  assert.equal(metricValue("zero_share", 0.5), "50 %");
  assert.equal(share(NaN), "–");
  assert.equal(share(1e-9), "1.00e-7 %");
});

test("powers of ten", () => {
  each(power, [
    [-12, "10⁻¹²"],
    [0, "10⁰"],
    [38, "10³⁸"],
    [-2.5, "0.00316"],
    [2.9999999, "10³"],
    [NaN, "–"],
  ]);
});

test("the shortest text of a float32 gives it back", () => {
  each(exactFloat32, [
    [NaN, ""],
    [Infinity, "inf"],
    [-Infinity, "-inf"],
    [0, "0"],
    [Math.fround(0.1), "0.1"],
    [Math.fround(16777216), "16777216"],
  ]);
  const words = new Uint32Array(1);
  const float = new Float32Array(words.buffer);
  for (let bits = 1; bits < 0xff800000; bits += 9_973_291) {
    words[0] = bits;
    const [value] = float;
    if (Number.isFinite(value)) assert.equal(Math.fround(Number(exactFloat32(value))), value, `bits ${bits}`);
  }
});
