import assert from "node:assert/strict";
import { test } from "node:test";

import { kindsOf, labelsOf, stepsOf } from "../../../gradprof/tab/static/model/compare.js";
import { RunInfo } from "../../../gradprof/tab/static/model/run_info.js";
import { runOf } from "./made.mjs";

test("sites of one run, and of two", () => {
  const first = runOf(["param/a", "param/b", "output/b", "param/d"]);
  assert.deepEqual(labelsOf([first], "param"), ["param/a", "param/b", "param/d"]);
  assert.deepEqual(labelsOf([first], "all"), ["param/a", "param/b", "output/b", "param/d"]);
  const second = runOf(["param/0", "param/b", "param/c1", "param/c2", "param/d", "param/e"]);
  assert.deepEqual(labelsOf([first, second], "param"), [
    "param/0",
    "param/a",
    "param/b",
    "param/c1",
    "param/c2",
    "param/d",
    "param/e",
  ]);
});

test("sites of runs that share none, or have none", () => {
  const [a, b, none] = [runOf(["param/a"]), runOf(["param/b"]), runOf([])];
  assert.deepEqual(labelsOf([a, b], "param"), ["param/b", "param/a"]);
  assert.deepEqual(labelsOf([a, none], "param"), ["param/a"]);
  assert.deepEqual(labelsOf([none, a], "param"), ["param/a"]);
  assert.deepEqual(labelsOf([none], "all"), []);
  assert.deepEqual(labelsOf([a, b], "input"), []);
});

test("the axis is as long as the longest run", () => {
  assert.equal(stepsOf([runOf([], { n: 3 }), runOf([], { n: 7 })]), 7);
  assert.equal(stepsOf([runOf([], { n: 0 })]), 1);
  assert.equal(stepsOf([]), 1);
});

test("kinds of all runs, each once", () => {
  const names = (...runs) => kindsOf(runs.map((labels) => runOf(labels))).map(({ name }) => name);
  assert.deepEqual(names(["param/a", "output/a"], ["param/a", "input/a"]), ["param", "output", "input"]);
  assert.deepEqual(names(["param/a"], []), ["param"]);
  assert.deepEqual(names([]), []);
  assert.deepEqual(kindsOf([]), []);
});

test("a run in one line", () => {
  assert.equal(runOf([], { n: 1200 }).summary, "Net · 1,200 steps (0–1,199)");
  assert.equal(runOf([], { n: 1 }).summary, "Net · 1 step (0–0)");
  assert.equal(runOf([], { n: 0 }).summary, "Net · no steps yet");
});

test("shapes and titles, known or not", () => {
  const site = (label, shape) => ({ label, kind: "param", shape });
  const sites = [site("param/a", [4, 512]), site("param/b", null), site("param/c", [])];
  const metrics = [{ name: "log10_l2", title: "log10 of the L2 norm" }];
  const info = new RunInfo({ run: "r", model: "", version: "", n: 0, first_step: null, last_step: null, threshold: 1, kinds: [], sites, metrics });
  assert.deepEqual(["param/a", "param/b", "param/c", "param/d"].map((label) => info.shapeOf(label)), ["4 × 512", "", "", ""]);
  assert.equal(info.title("log10_l2"), "L2 norm");
  assert.equal(info.title("unheard_of"), "unheard_of");
  assert.equal(info.summary, "no steps yet");
});
