import assert from "node:assert/strict";
import { test } from "node:test";

import { Scale, specialColors, word } from "../../../gradprof/tab/static/draw/colors.js";
import { paintMap, worstCell } from "../../../gradprof/tab/static/draw/heatmap.js";
import { MISSING, NON_FINITE } from "../../../gradprof/tab/static/model/grid.js";
import { gridOf } from "./made.mjs";

const SCALE = new Scale("log10_l2", 0, 10, "light");
const COLORS = Object.fromEntries(Object.entries(specialColors("light")).map(([name, css]) => [name, word(css)]));

/** A layer with a row for each site. */
function layerOf(values, options) {
  const grid = gridOf(values, options);
  return { grid, lines: grid.sites.map((site) => grid.line(site)) };
}

/** The words of a picture as lists of lines. */
function painted(layers, width, height, { columns, rows, ...style } = {}) {
  const image = { width, height, data: new Uint8ClampedArray(4 * width * height) };
  const n = layers[0]?.lines.length ?? 1;
  const all = { scale: SCALE, theme: "light", signed: false, ratio: 1, ends: new Set(), ...style };
  const steps = { from: 0, to: layers[0]?.grid.to ?? 1 };
  paintMap(image, layers, columns ?? steps, rows ?? { from: 0, to: n }, all);
  const words = new Uint32Array(image.data.buffer);
  return Array.from({ length: height }, (_, y) => [...words.subarray(y * width, (y + 1) * width)]);
}

const color = (value) => SCALE.word(value);

test("the worst of the cells under a rectangle", () => {
  const layer = layerOf([[1, 9, 3], [4, -8, NaN], [NaN, NaN, NaN]], {
    flags: [[0, 0, 0], [0, NON_FINITE, 0], [MISSING, MISSING, MISSING]],
  });
  const worst = (c0, c1, r0, r1, signed = false) => worstCell({ layer, c0, c1 }, { r0, r1 }, signed);
  assert.deepEqual(worst(0, 0, 0, 1), { value: 1, flags: 0 });
  assert.deepEqual(worst(0, 2, 0, 2), { value: 9, flags: NON_FINITE });
  assert.deepEqual(worst(1, 1, 1, 2, true), { value: -8, flags: NON_FINITE });
  assert.deepEqual(worst(2, 2, 1, 2), { value: NaN, flags: 0 });
  assert.deepEqual(worst(0, 2, 2, 3), { value: NaN, flags: MISSING });
  assert.deepEqual(worst(0, 0, 1, 3), { value: 4, flags: 0 }); // missing only where all are
  assert.deepEqual(worst(0, 0, 3, 9), { value: NaN, flags: MISSING }); // beyond the rows
  layer.lines[0] = null; // a row that this run does not have
  assert.deepEqual(worst(0, 2, 0, 1), { value: NaN, flags: MISSING });
});

test("one cell fills the picture", () => {
  assert.deepEqual(painted([layerOf([[5]])], 3, 2), [Array(3).fill(color(5)), Array(3).fill(color(5))]);
});

test("a cell for each pixel, and each as wide as it is long", () => {
  assert.deepEqual(painted([layerOf([[0, 5, 10], [10, 0, 5]])], 3, 2), [
    [color(0), color(5), color(10)],
    [color(10), color(0), color(5)],
  ]);
  assert.deepEqual(painted([layerOf([[0, 10]], { lengths: [1, 3] })], 4, 1), [[0, 10, 10, 10].map(color)]);
});

test("one bad step of very many is seen when all are", () => {
  const n = 100_000;
  const values = Array(n).fill(1);
  values[77_777] = 10;
  const [line] = painted([layerOf([values])], 100, 1);
  assert.deepEqual(line.flatMap((w, x) => (w === color(10) ? [x] : [])), [77]);
  assert.equal(line.filter((w) => w === color(1)).length, 99);
});

test("one bad site of very many is seen when all are", () => {
  const values = Array.from({ length: 5000 }, (_, site) => [site === 1234 ? 10 : 1]);
  const lines = painted([layerOf(values)], 1, 50);
  assert.deepEqual(lines.flatMap(([w], y) => (w === color(10) ? [y] : [])), [12]);
});

test("what is no plain number has a colour of its own", () => {
  const layer = layerOf([[NaN, -Infinity, Infinity]]);
  assert.deepEqual(painted([layer], 3, 1), [[COLORS.undefined, COLORS.zero, color(10)]]);
});

test("no row is hatched", () => {
  const layer = layerOf([[1, NaN]], { flags: [[0, MISSING]] });
  const lines = painted([layer], 48, 8);
  const hatched = lines.flatMap((line) => line.slice(24));
  assert.deepEqual([...new Set(hatched)].sort(), [COLORS.hatch, COLORS.missing].sort());
  assert.ok(lines.every((line) => line.slice(0, 24).every((w) => w === color(1))));
});

test("a non-finite cell is large enough to be seen, at every edge", () => {
  for (const [x, y] of [[50, 10], [0, 0], [99, 19]]) {
    const values = Array.from({ length: 20 }, () => Array(100).fill(1));
    const flags = values.map((line, row) => line.map((_, column) => (row === y && column === x ? NON_FINITE : 0)));
    const lines = painted([layerOf(values, { flags })], 100, 20);
    const marked = lines.flatMap((line) => line.filter((w) => w === COLORS.nonFinite)).length;
    const edge = lines.flatMap((line) => line.filter((w) => w === COLORS.nonFiniteEdge)).length;
    assert.equal(marked, 25, `at ${x}, ${y}`);
    assert.equal(edge, x === 50 ? 24 : 11, `at ${x}, ${y}`);
  }
});

test("two non-finite cells do not hide each other", () => {
  const flags = [Array(40).fill(0)];
  flags[0][10] = flags[0][13] = NON_FINITE;
  const lines = painted([layerOf([Array(40).fill(1)], { flags })], 40, 9);
  const columns = new Set(lines.flatMap((line) => line.flatMap((w, x) => (w === COLORS.nonFinite ? [x] : []))));
  assert.deepEqual([...columns].sort((a, b) => a - b), [8, 9, 10, 11, 12, 13, 14, 15]);
});

test("high rows are drawn apart, and groups before rows are", () => {
  const layer = layerOf([[1], [1], [1]]);
  const gaps = (height, style) =>
    painted([layer], 1, height, style).flatMap(([w], y) => (w === COLORS.gap ? [y] : []));
  assert.deepEqual(gaps(36), [11, 23, 35]);
  assert.deepEqual(gaps(30), []);
  assert.deepEqual(gaps(30, { ends: new Set([1]) }), [19]);
  assert.deepEqual(gaps(72, { ratio: 2 }), [22, 23, 46, 47, 70, 71]);
});

test("the finest layer that has a step is shown, and the page where none has", () => {
  const fine = layerOf([[0, 0]]);
  const coarse = layerOf([[10]], { lengths: [4] });
  const [line] = painted([fine, coarse], 6, 1, { columns: { from: 0, to: 6 } });
  assert.deepEqual(line, [color(0), color(0), color(10), color(10), COLORS.gap, COLORS.gap]);
});

test("nothing to show is an empty page", () => {
  const blank = (lines) => assert.deepEqual([...new Set(lines.flat())], [COLORS.gap]);
  blank(painted([], 4, 3, { columns: { from: 0, to: 10 } }));
  blank(painted([layerOf([])], 4, 3, { columns: { from: 0, to: 1 }, rows: { from: 0, to: 1 } }));
});
