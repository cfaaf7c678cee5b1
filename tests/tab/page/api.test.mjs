import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { ApiError, figure, getCell, getHeatmap, getRuns, isAbort, Latest, unpack } from "../../../gradprof/tab/static/model/api.js";

const usual = globalThis.fetch;
afterEach(() => (globalThis.fetch = usual));

/** The arrays behind a header as the backend packs them; `pad` spaces after the header. */
function packed(arrays, header = {}, pad = 0) {
  const listed = arrays.map(([name, dtype, shape]) => ({ name, dtype, shape }));
  const text = new TextEncoder().encode(JSON.stringify({ ...header, arrays: listed }) + " ".repeat(pad));
  const data = arrays.map(([, , , values]) => new Uint8Array(values.buffer));
  const bytes = new Uint8Array(4 + text.length + data.reduce((sum, part) => sum + part.length, 0));
  new DataView(bytes.buffer).setUint32(0, text.length, true);
  bytes.set(text, 4);
  let at = 4 + text.length;
  for (const part of data) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes.buffer;
}

/** Answers every request with these; what was asked for comes back. */
function answering(body, { status = 200, type = "application/json" } = {}) {
  const asked = [];
  globalThis.fetch = async (url) => {
    asked.push(url);
    return new Response(body, { status, headers: { "Content-Type": type } });
  };
  return asked;
}

test("figures of JSON", () => {
  assert.deepEqual([0, -1.5, "inf", "-inf"].map(figure), [0, -1.5, Infinity, -Infinity]);
  assert.ok(Number.isNaN(figure(null)));
  assert.ok(Number.isNaN(figure(undefined)));
});

for (const pad of [0, 1, 2, 3, 4, 5, 6, 7])
  test(`arrays come back whatever their alignment, ${pad} bytes further`, () => {
    const floats = Float64Array.of(1e300, NaN, -Infinity, Number.MIN_VALUE);
    const buffer = packed(
      [
        ["flags", "uint8", [3], Uint8Array.of(0, 7, 255)],
        ["first", "float64", [4], floats],
        ["values", "float32", [2, 3], Float32Array.of(0.1, 2, 3, NaN, Infinity, -0)],
        ["words", "uint32", [1], Uint32Array.of(0xffffffff)],
      ],
      { run: "ünï" },
      pad,
    );
    const { header, arrays } = unpack(buffer);
    assert.equal(header.run, "ünï");
    assert.deepEqual(arrays.flags, Uint8Array.of(0, 7, 255));
    assert.deepEqual(arrays.first, floats);
    assert.deepEqual(arrays.values, Float32Array.of(0.1, 2, 3, NaN, Infinity, -0));
    assert.deepEqual(arrays.words, Uint32Array.of(0xffffffff));
  });

test("arrays without a value, of one shape and of none", () => {
  const { arrays } = unpack(
    packed([
      ["none", "float32", [0, 5], new Float32Array(0)],
      ["one", "float64", [], Float64Array.of(3)],
      ["after", "uint8", [1], Uint8Array.of(9)],
    ]),
  );
  assert.deepEqual(arrays.none, new Float32Array(0));
  assert.deepEqual(arrays.one, Float64Array.of(3));
  assert.deepEqual(arrays.after, Uint8Array.of(9));
});

test("a reply that was cut off is not taken for data", () => {
  const whole = packed([["values", "float64", [2], Float64Array.of(1, 2)]]);
  assert.throws(() => unpack(whole.slice(0, 30)), RangeError);
  assert.throws(() => unpack(whole.slice(0, 2)), RangeError);
  assert.throws(() => unpack(whole.slice(0, -3)), RangeError);
});

test("the routes lie above the folder of this module; what is not known is not asked for", async () => {
  const asked = answering("{}");
  await getCell({ run: "a&b=c/../d", site: 0, metric: "log10_l2", from: null, to: undefined });
  const [url] = asked;
  assert.match(url.pathname, /\/tab\/static\/cell$/);
  assert.deepEqual([...url.searchParams], [["run", "a&b=c/../d"], ["site", "0"], ["metric", "log10_l2"]]);
});

test("a packed reply by its route", async () => {
  answering(packed([["flags", "uint8", [1], Uint8Array.of(4)]], { sites: [3] }));
  const { header, arrays } = await getHeatmap({ run: "demo", metric: "log10_l2", kind: "all" });
  assert.deepEqual(header.sites, [3]);
  assert.deepEqual(arrays.flags, Uint8Array.of(4));
});

test("what went wrong is told in words", async () => {
  answering('{"error": "there is no run"}', { status: 400 });
  await assert.rejects(getRuns(), (error) => error instanceof ApiError && error.message === "there is no run");
  answering("<html>", { status: 502, type: "text/html" });
  await assert.rejects(getRuns(), /The request “runs” failed \(HTTP 502\)/);
  answering("{}", { status: 500 });
  await assert.rejects(getRuns(), /HTTP 500/);
  globalThis.fetch = async () => {
    throw new TypeError("Failed to fetch");
  };
  await assert.rejects(getRuns(), (error) => error instanceof ApiError && /still running/.test(error.message));
});

test("only an abort is an abort", () => {
  assert.ok(isAbort(new DOMException("", "AbortError")));
  for (const other of [new Error("AbortError"), new ApiError(""), null, undefined, "AbortError", { name: "AbortError" }])
    assert.ok(!isAbort(other));
});

test("a newer request cancels the one under way", async () => {
  const latest = new Latest();
  const waiting = (signal) => new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason)));
  const first = latest.run(waiting);
  const second = latest.run(async () => "newer");
  await assert.rejects(first, isAbort);
  assert.equal(await second, "newer");
  const third = latest.run(waiting);
  latest.cancel();
  await assert.rejects(third, isAbort);
  new Latest().cancel();
});
