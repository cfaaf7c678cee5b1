import assert from "node:assert/strict";
import { test } from "node:test";

import { arrange, filterProblem, toggled } from "../../../gradprof/tab/static/model/tree.js";

const NET = [
  "param/stem.weight",
  ...["0", "1"].flatMap((block) => ["conv1", "conv2"].map((conv) => `param/layer1.${block}.${conv}.weight`)),
  ...["0", "1"].flatMap((block) => ["conv1", "conv2"].map((conv) => `param/layer2.${block}.${conv}.weight`)),
  "param/fc.weight",
  "param/fc.bias",
];
const keys = ({ rows }) => rows.map(({ key }) => key);
const labels = ({ rows }) => rows.map(({ label }) => label);

test("modules of four and more are groups", () => {
  const layout = arrange(NET, { kind: "param" });
  assert.deepEqual(keys(layout), NET);
  assert.deepEqual(layout.strips, [
    { path: "layer1", name: "layer1", level: 0, first: 1, last: 4 },
    { path: "layer2", name: "layer2", level: 0, first: 5, last: 8 },
  ]);
  assert.equal(layout.levels, 1);
  assert.deepEqual(labels(layout).slice(0, 3), ["stem.weight", "0.conv1.weight", "0.conv2.weight"]);
});

test("a closed group is one row for all of its members", () => {
  const layout = arrange(NET, { kind: "param", collapsed: ["layer1", "nowhere", "__proto__"] });
  assert.deepEqual(keys(layout).slice(0, 3), ["param/stem.weight", "layer1/", NET[5]]);
  const [, group] = layout.rows;
  assert.deepEqual([group.group, group.path, group.sites], ["layer1", "layer1", NET.slice(1, 5)]);
  assert.match(group.title, /worst of 4/);
  assert.deepEqual(layout.strips.map(({ first, last }) => [first, last]), [[2, 5]]);
});

test("with several kinds in sight the kind is a group of its own", () => {
  const both = ["param/a.x", "param/a.y", "param/b.x", "param/b.y", "output/a"];
  const layout = arrange(both, { kind: "all" });
  assert.deepEqual(layout.strips.map(({ path }) => path), ["param"]);
  assert.equal(layout.rows[4].label, "output.a");
  assert.deepEqual(keys(arrange(both, { kind: "all", collapsed: ["param"] })), ["param/", "output/a"]);
});

test("groups within groups share a strip where there is nothing between, and end at three levels", () => {
  const four = (path) => ["w", "x", "y", "z"].map((name) => `param/${path}.${name}`);
  const lone = arrange(four("a.b.c"), { kind: "param" });
  assert.deepEqual(lone.strips.map(({ name, level }) => [name, level]), [["a.b.c", 0]]);
  const deep = arrange([...four("a.b.c.d.e"), ...four("a.b.c.d"), ...four("a.b.c"), ...four("a.b"), ...four("a")], { kind: "param" });
  assert.equal(deep.levels, 3);
  assert.ok(deep.strips.every(({ level }) => level < 3));
  assert.equal(deep.rows.length, 20);
});

test("a filter by text or by an expression", () => {
  const shown = (filter) => keys(arrange(NET, { kind: "param", filter }));
  assert.deepEqual(shown("  LAYER2.1 "), NET.slice(7, 9));
  assert.deepEqual(shown("/FC|stem/"), ["param/stem.weight", "param/fc.weight", "param/fc.bias"]);
  assert.deepEqual(shown("nothing like it"), []);
  assert.deepEqual(shown(""), NET);
  assert.deepEqual(shown("/(/"), []); // cannot be read, so it is text
  assert.deepEqual(shown("//"), []);
  assert.deepEqual(shown(".*"), []);
});

test("what is wrong with a filter", () => {
  for (const sound of ["", " ", "/", "//", "/a/", "(", "/[a]+$/ "]) assert.equal(filterProblem(sound), "");
  for (const broken of ["/(/", "/[/", "/a**/"]) assert.match(filterProblem(broken), /regular expression/i);
});

test("the worst first, without groups", () => {
  const badness = (label) => ({ "param/fc.bias": Infinity, "param/stem.weight": 2 })[label] ?? -Infinity;
  const layout = arrange(NET, { kind: "param", order: "worst", badness, collapsed: ["layer1"] });
  assert.deepEqual(keys(layout).slice(0, 3), ["param/fc.bias", "param/stem.weight", NET[1]]);
  assert.deepEqual([layout.rows.length, layout.strips, layout.levels], [NET.length, [], 0]);
  assert.equal(layout.rows[0].label, "fc.bias");
  assert.deepEqual(keys(arrange(NET, { kind: "param", order: "worst" })), NET); // by what is not known
});

test("no sites, one site, and a site without a kind or a module", () => {
  assert.deepEqual(arrange([], {}), { rows: [], strips: [], levels: 0 });
  assert.deepEqual(labels(arrange(["param/w"], { kind: "param" })), ["w"]);
  assert.deepEqual(labels(arrange(["odd", "param/", "param/.."], { kind: "param" })), ["odd", "", ".."]);
});

test("very many sites", () => {
  const many = Array.from({ length: 20_000 }, (_, i) => `param/block${i >> 3}.part${i & 7}.weight`);
  const layout = arrange(many, { kind: "param", collapsed: ["block7"] });
  assert.equal(layout.rows.length, 20_000 - 7);
  assert.equal(layout.strips.length, 2499);
});

test("a group is closed and opened", () => {
  assert.deepEqual(toggled([], "a"), ["a"]);
  assert.deepEqual(toggled(["a", "b"], "a"), ["b"]);
  assert.deepEqual(toggled(["a", "a"], "b"), ["a", "b"]);
});
