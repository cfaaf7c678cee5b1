import assert from "node:assert/strict";
import { test } from "node:test";

import { densityWords, isSigned, Scale, specialColors, suggestedLimits, word } from "../../../gradprof/tab/static/draw/colors.js";

test("a word is RGBA in the bytes of an image", () => {
  assert.deepEqual([...new Uint8Array(Uint32Array.of(word("#ff8001")).buffer)], [0xff, 0x80, 0x01, 0xff]);
  assert.equal(word("#000000"), 0xff000000);
});

test("a scale runs from its first colour to its last, and holds what lies outside", () => {
  const scale = new Scale("log10_l2", -6, 0, "light");
  assert.equal(scale.word(-6), word("#440154"));
  assert.equal(scale.word(0), word("#fde725"));
  for (const below of [-7, -1e300]) assert.equal(scale.word(below), scale.word(-6));
  for (const above of [1, 1e300]) assert.equal(scale.word(above), scale.word(0));
  assert.equal(new Set(Array.from({ length: 256 }, (_, i) => scale.word(-6 + (6 * i) / 255))).size, 256);
});

test("a scale upside down, and one without width", () => {
  const inverted = new Scale("log10_l2", 0, -6, "light");
  assert.equal(inverted.word(0), word("#440154"));
  const flat = new Scale("log10_l2", 2, 2, "dark");
  for (const value of [1, 2, 3]) assert.ok(flat.word(value) >= 0xff000000, `of ${value}: ${flat.word(value)}`);
});

test("no scale contains a colour that means something else", () => {
  for (const theme of ["light", "dark"]) {
    const { nonFinite, zero, undefined: none } = specialColors(theme);
    for (const metric of ["log10_l2", "l2_change"]) {
      const words = new Set(new Scale(metric, 0, 1, theme).words);
      for (const css of [nonFinite, zero, none]) assert.ok(!words.has(word(css)), `${theme} ${metric} ${css}`);
    }
  }
});

test("changes go both ways from a calm middle", () => {
  const { low, high } = suggestedLimits("l2_change", [{ low: -0.5, high: 2 }]);
  assert.deepEqual([low, high], [-2, 2]);
  assert.ok(isSigned("l2_change") && !isSigned("log10_l2"));
  assert.deepEqual(suggestedLimits("l2_change", [{ low: -0.01, high: 0.01 }]), { low: -0.3, high: 0.3 });
});

test("limits over several runs, and over none", () => {
  assert.deepEqual(suggestedLimits("log10_l2", [{ low: -3, high: 0 }, { low: -5, high: -1 }]), { low: -5, high: 0 });
  assert.deepEqual(suggestedLimits("log10_l2", []), { low: 0, high: 1 });
  assert.deepEqual(suggestedLimits("log10_l2", [{ low: NaN, high: 1 }, { low: 0, high: Infinity }]), { low: 0, high: 1 });
  assert.deepEqual(suggestedLimits("log10_l2", [{ low: -2, high: -2 }]), { low: -2.25, high: -1.75 });
  assert.deepEqual(suggestedLimits("zero_share", [{ low: 0.2, high: 0.9 }]), { low: 0, high: 0.9 });
  assert.deepEqual(suggestedLimits("zero_share", [{ low: 0, high: 0 }]), { low: 0, high: 1 });
});

test("densities go from the page to the fullest bin", () => {
  for (const [theme, paper] of [["light", "#ffffff"], ["dark", "#16191d"]]) {
    const words = densityWords(theme);
    assert.equal(words.length, 256);
    assert.equal(words[0], word(paper));
  }
});
