import assert from "node:assert/strict";
import { test } from "node:test";

import { isWhole, pan, rangeOf, reveal, zoom } from "../../../gradprof/tab/static/model/viewport.js";

const near = (range, from, to) => {
  assert.ok(Math.abs(range.from - from) < 1e-9 && Math.abs(range.to - to) < 1e-9, JSON.stringify(range));
};

test("the point under the pointer stays where it is", () => {
  near(zoom({ from: 0, to: 100 }, 0.5, 25, 100), 12.5, 62.5);
  near(zoom({ from: 40, to: 60 }, 2, 50, 1000), 30, 70);
});

test("a zoom ends at the limits and at the least that is shown", () => {
  near(zoom({ from: 0, to: 100 }, 5, 50, 100), 0, 100);
  near(zoom({ from: 10, to: 14 }, 0.01, 12, 100, 4), 10, 14);
  near(zoom({ from: 0, to: 2 }, 0.5, 1, 2, 4), 0, 2); // there are fewer than the least
  near(zoom({ from: 90, to: 100 }, 2, 100, 100), 80, 100);
  near(zoom({ from: 0, to: 1e12 }, 1e-9, 5e11, 1e12), 5e11 - 500, 5e11 + 500);
});

test("zooming in and out again changes nothing", () => {
  const range = { from: 123.25, to: 456.5 };
  near(zoom(zoom(range, 0.7, 200, 1000), 1 / 0.7, 200, 1000), 123.25, 456.5);
});

test("a pan keeps its span at the limits", () => {
  near(pan({ from: 10, to: 30 }, -50, 100), 0, 20);
  near(pan({ from: 10, to: 30 }, 500, 100), 80, 100);
  near(pan({ from: 0, to: 100 }, 7, 100), 0, 100);
});

test("ranges of the address are brought within the run", () => {
  near(rangeOf(null, null, 10), 0, 10);
  near(rangeOf(3, null, 10), 0, 10);
  near(rangeOf(7, 3, 10), 0, 10);
  near(rangeOf(5, 5, 10), 0, 10);
  near(rangeOf(NaN, 4, 10), 0, 10);
  near(rangeOf(-1e9, 1e9, 10), 0, 10);
  near(rangeOf(95, 99, 10), 6, 10); // of a longer run
});

test("a place is brought into view by as little as needed", () => {
  assert.equal(reveal({ from: 10, to: 20 }, 10, 100), null);
  assert.equal(reveal({ from: 10, to: 20 }, 19, 100), null);
  near(reveal({ from: 10, to: 20 }, 20, 100), 11, 21);
  near(reveal({ from: 10, to: 20 }, 3, 100), 3, 13);
  near(reveal({ from: 10.5, to: 20.5 }, 10, 100), 10, 20);
  near(reveal({ from: 10, to: 20 }, 99, 100), 90, 100);
});

test("the whole", () => {
  assert.ok(isWhole({ from: 0, to: 10 }, 10));
  assert.ok(!isWhole({ from: 0, to: 9.99 }, 10));
  assert.ok(!isWhole({ from: 0.01, to: 10 }, 10));
});
