import assert from "node:assert/strict";
import { test } from "node:test";

import { decades, dot, linear, polyline } from "../../../gradprof/tab/static/draw/plot.js";

/** A canvas that keeps what is called on it. */
function recorder() {
  const calls = [];
  const names = ["save", "restore", "beginPath", "moveTo", "lineTo", "stroke", "fill", "arc", "setLineDash"];
  return { calls, ...Object.fromEntries(names.map((name) => [name, (...values) => calls.push([name, ...values])])) };
}

const paths = ({ calls }) => calls.filter(([name]) => name.endsWith("To"));

test("a linear map goes beyond its ends, and down as well", () => {
  const y = linear(-3, 1, 100, 20);
  assert.deepEqual([-3, 1, -1, 5].map(y), [100, 20, 60, -60]);
  assert.ok(Number.isNaN(y(NaN)));
});

test("whole decades around what is finite", () => {
  assert.deepEqual(decades([-2.5, 0.1]), { low: -3, high: 1 });
  assert.deepEqual(decades([-2, NaN, -Infinity, Infinity]), { low: -3, high: -1 });
  assert.deepEqual(decades([]), { low: -1, high: 1 });
  assert.deepEqual(decades([NaN], -4), { low: -5, high: -3 });
  assert.deepEqual(decades(new Set([300, -300])), { low: -301, high: 301 });
  const { low, high } = decades(Float32Array.from({ length: 1_000_000 }, (_, i) => i % 7));
  assert.deepEqual([low, high], [-1, 7]);
});

test("a line breaks where there is nothing", () => {
  const ctx = recorder();
  polyline(ctx, [[0, 1], [1, 1], [2, NaN], [NaN, 3], [4, 4], [5, 5]], { color: "red" });
  assert.deepEqual(paths(ctx), [
    ["moveTo", 0, 1],
    ["lineTo", 1, 1],
    ["moveTo", 4, 4],
    ["lineTo", 5, 5],
  ]);
  assert.deepEqual([ctx.strokeStyle, ctx.lineWidth, ctx.globalAlpha], ["red", 1, 1]);
});

test("a line of nothing at all", () => {
  for (const points of [[], [[NaN, NaN]]]) {
    const ctx = recorder();
    polyline(ctx, points, { color: "red", dash: [3, 3] });
    assert.deepEqual(paths(ctx), []);
  }
});

test("a dot is filled, hollow, or nothing", () => {
  const drawn = (style) => {
    const ctx = recorder();
    dot(ctx, 1, 2, 3, style);
    return ctx.calls.map(([name]) => name);
  };
  assert.deepEqual(drawn({ fill: "red" }), ["beginPath", "arc", "fill"]);
  assert.deepEqual(drawn({ fill: "white", stroke: "red" }), ["beginPath", "arc", "fill", "stroke"]);
  assert.deepEqual(drawn({}), ["beginPath", "arc"]);
});
