import assert from "node:assert/strict";
import { test } from "node:test";

import { format, parse, Store } from "../../../gradprof/tab/static/model/state.js";

const NOWHERE = parse({});

/** An address bar: what was written to it, and a way to change it from outside. */
function bar(parameters = {}) {
  const written = [];
  let changed = null;
  const address = {
    read: () => parameters,
    write: (now, push) => written.push([now, push]),
    onChange: (listener) => (changed = listener),
  };
  return { address, written, change: (now) => changed(now) };
}

test("a view comes back from its address", () => {
  const view = {
    ...NOWHERE,
    run: "a&b=ü/%2e",
    other: "b",
    view: "site",
    kind: "output",
    metric: "zero_share",
    filter: "/conv[12]/",
    order: "worst",
    collapsed: ["a.b", 'quo"te', ""],
    from: -1.5,
    to: 1e12,
    top: 0,
    bottom: 3.25,
    low: -0.001,
    high: 0,
    site: "param/a",
    at: 7,
    pin: 0,
  };
  const parameters = format(view);
  assert.ok(Object.values(parameters).every((text) => typeof text === "string"));
  assert.deepEqual(parse(parameters), view);
});

test("what is usual is not in the address, and numbers are short", () => {
  assert.deepEqual(format(NOWHERE), {});
  assert.deepEqual(format({ ...NOWHERE, from: 1 / 3, to: 2 }), { from: "0.333", to: "2" });
  assert.deepEqual(format({ ...NOWHERE, collapsed: [] }), {});
});

test("what cannot be read keeps its default", () => {
  const hostile = [
    { from: "" },
    { from: "NaN", to: "Infinity", at: "1e999", pin: "0x", low: "1,5" },
    { view: "../../etc", order: "constructor" },
    { collapsed: '["cut o' },
    { collapsed: '{"length": 3}' },
    { collapsed: "null" },
    { unknown: "x", DEFAULTS: "x" },
  ];
  for (const parameters of hostile) assert.deepEqual(parse(parameters), NOWHERE);
  assert.deepEqual(parse({ collapsed: '["a", 1, null, ["b"], {"c": 1}]' }).collapsed, ["a"]);
});

test("names that every object has are no fields", () => {
  const parameters = Object.fromEntries(
    ["toString", "constructor", "hasOwnProperty", "__proto__", "valueOf"].map((name) => [name, "x"]),
  );
  const state = parse(parameters);
  assert.deepEqual(Object.keys(state), Object.keys(NOWHERE));
  assert.deepEqual(format(state), {});
});

test("the store writes what changed and tells it", () => {
  const { address, written, change } = bar({ run: "demo", from: "3" });
  const store = new Store(address);
  assert.equal(store.state.from, 3);
  const told = [];
  store.listen((changed) => told.push([...changed].sort()));
  store.set({ from: 3, collapsed: [] }); // as it was
  assert.deepEqual([written, told], [[], []]);
  store.set({ view: "site", site: "param/a" }, { push: true });
  store.set({ from: null });
  assert.deepEqual(written[0], [{ run: "demo", view: "site", from: "3", site: "param/a" }, true]);
  assert.deepEqual(written[1], [{ run: "demo", view: "site", site: "param/a" }, false]);
  change({ run: "demo" }); // Back
  assert.deepEqual(told, [["site", "view"], ["from"], ["site", "view"]]);
  change({ run: "demo" });
  assert.equal(told.length, 3);
  assert.equal(written.length, 2);
});
