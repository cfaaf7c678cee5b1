// The routes of the backend: JSON, packed arrays, and errors that people can read.
// The routes themselves are documented in gradprof/tab, beside the code that answers them.

/** @import { Cell, Figure, Heatmap, Run, Runs, SiteHistory, Step } from "./replies.js" */
/** @typedef {Record<string, string | number | null | undefined>} Query */
/** @typedef {{run: string, metric: string, kind: string, from?: number, to?: number, columns?: number}} HeatmapQuery */
/** @typedef {{run: string, site: number, metric: string, from: number, to: number}} CellQuery */
/** @typedef {{run: string, site: number, from?: number, to?: number, columns?: number}} SiteQuery */

const BASE = new URL("..", import.meta.url);
const ARRAYS = { float32: Float32Array, float64: Float64Array, uint8: Uint8Array, uint32: Uint32Array };

/** What a route said went wrong, or why it could not be reached. */
export class ApiError extends Error {}

/** @type {(signal: AbortSignal) => Promise<Runs>} */
export const getRuns = (signal) => getJson("runs", {}, signal);
/** @type {(run: string, signal: AbortSignal) => Promise<Run>} */
export const getRun = (run, signal) => getJson("run", { run }, signal);
/** @type {(query: HeatmapQuery, signal: AbortSignal) => Promise<Heatmap>} */
export const getHeatmap = (query, signal) => getArrays("heatmap", query, signal);
/** @type {(query: CellQuery, signal: AbortSignal) => Promise<Cell>} */
export const getCell = (query, signal) => getJson("cell", query, signal);
/** @type {(query: SiteQuery, signal: AbortSignal) => Promise<SiteHistory>} */
export const getSite = (query, signal) => getArrays("site", query, signal);
/** @type {(run: string, ordinal: number, signal: AbortSignal) => Promise<Step>} */
export const getStep = (run, ordinal, signal) => getJson("step", { run, ordinal }, signal);
/** @type {(run: string, step: string) => Promise<Step>} */
export const getStepByNumber = (run, step) => getJson("step", { run, step });

/** Whether an error only says that a newer request took the place of this one. @param {unknown} error */
export const isAbort = (error) => error instanceof Error && error.name === "AbortError";

/** Runs one request at a time: a new one cancels the one under way. */
export class Latest {
  #controller = new AbortController();

  /** @template T @param {(signal: AbortSignal) => Promise<T>} request */
  async run(request) {
    this.cancel();
    this.#controller = new AbortController();
    return request(this.#controller.signal);
  }

  cancel() {
    this.#controller.abort();
  }
}

/** A figure of the JSON replies: null is NaN, "inf" and "-inf" are infinite. @param {Figure} [value] */
export function figure(value) {
  if (value === null || value === undefined) return NaN;
  if (value === "inf") return Infinity;
  if (value === "-inf") return -Infinity;
  return value;
}

/** @type {(route: string, query: Query, signal?: AbortSignal) => Promise<Response>} */
async function get(route, query, signal) {
  const url = new URL(route, BASE);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined) url.searchParams.set(name, String(value));
  }
  let response;
  try {
    response = await fetch(url, { signal });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError("TensorBoard does not answer. Is it still running?");
  }
  if (!response.ok) throw new ApiError(await reason(response, route));
  return response;
}

/** @param {Response} response @param {string} route @returns {Promise<string>} */
async function reason(response, route) {
  const type = response.headers.get("Content-Type") ?? "";
  if (type.includes("json")) {
    const { error } = await response.json();
    if (error) return error;
  }
  return `The request “${route}” failed (HTTP ${response.status}).`;
}

/** @type {(route: string, query: Query, signal?: AbortSignal) => Promise<any>} what replies.js says of the route */
async function getJson(route, query, signal) {
  return (await get(route, query, signal)).json();
}

/** A packed reply. @type {(route: string, query: Query, signal: AbortSignal) => Promise<any>} as in replies.js */
async function getArrays(route, query, signal) {
  return unpack(await (await get(route, query, signal)).arrayBuffer());
}

/**
 * The header of a packed reply, and its arrays by name: uint32 length of the JSON header, the header, then the
 * arrays in its order; little endian.
 * @param {ArrayBuffer} buffer
 */
export function unpack(buffer) {
  const headerLength = new DataView(buffer).getUint32(0, true);
  /** @type {{arrays: {name: string, dtype: keyof typeof ARRAYS, shape: number[]}[]}} */
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, headerLength)));
  /** @type {Record<string, Float32Array | Float64Array | Uint8Array | Uint32Array>} */
  const arrays = {};
  let at = 4 + headerLength;
  for (const { name, dtype, shape } of header.arrays) {
    const Type = ARRAYS[dtype];
    const size = shape.reduce((product, n) => product * n, 1) * Type.BYTES_PER_ELEMENT;
    arrays[name] = new Type(buffer.slice(at, at + size)); // a copy, because `at` may not be aligned
    at += size;
  }
  return { header, arrays };
}
