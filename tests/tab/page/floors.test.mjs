// Imports, those of types among them, never run backwards: model → draw → widgets → views → the app.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { test } from "node:test";

const PAGE = join(import.meta.dirname, "../../../gradprof/tab/static");
const FLOORS = ["model", "draw", "widgets", "views", "."];
const floor = (file) => FLOORS.indexOf(posix.dirname(file));

/** What runs backwards, or leads nowhere, among [file, text] pairs. */
function backwards(sources) {
  const files = new Set(sources.map(([file]) => file));
  return sources.flatMap(([file, text]) =>
    [...text.matchAll(/(?:\bfrom|\bimport\(?)\s*["'](\.[^"']+)["']/g)]
      .map(([, path]) => posix.join(posix.dirname(file), path))
      .filter((imported) => !files.has(imported) || floor(imported) > floor(file))
      .map((imported) => `${file} imports ${imported}`),
  );
}

test("imports never run backwards", () => {
  const files = readdirSync(PAGE, { recursive: true }).map((file) => file.replaceAll("\\", "/"));
  const sources = files.filter((file) => file.endsWith(".js")).map((file) => [file, readFileSync(join(PAGE, file), "utf8")]);
  assert.ok(sources.length > 30);
  assert.deepEqual(sources.filter(([file]) => floor(file) < 0), []);
  assert.deepEqual(backwards(sources), []);
});

test("and one that does is found", () => {
  const sound = ["draw/a.js", 'import { b } from "../model/b.js";\nimport "./a.js";'];
  assert.deepEqual(backwards([sound, ["model/b.js", ""]]), []);
  assert.deepEqual(backwards([sound, ["model/b.js", '/** @import { A } from "../draw/a.js" */']]), [
    "model/b.js imports draw/a.js",
  ]);
  assert.deepEqual(backwards([["views/v.js", 'import "../app.js"; await import("../draw/gone.js")'], ["app.js", ""]]), [
    "views/v.js imports app.js",
    "views/v.js imports draw/gone.js",
  ]);
});
