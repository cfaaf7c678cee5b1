// The routes of the backend: JSON, packed arrays, and errors that people can read.
// The routes themselves are documented in gradprof/tab, beside the code that answers them.

const BASE = new URL("..", import.meta.url);
const ARRAYS = { float32: Float32Array, float64: Float64Array, uint8: Uint8Array, uint32: Uint32Array };

/** What a route said went wrong, or why it could not be reached. */
export class ApiError extends Error {}

export const getRuns = (signal) => getJson("runs", {}, signal);
export const getRun = (run, signal) => getJson("run", { run }, signal);
export const getHeatmap = (query, signal) => getArrays("heatmap", query, signal);
export const getCell = (query, signal) => getJson("cell", query, signal);
export const getSite = (query, signal) => getArrays("site", query, signal);
export const getStep = (run, ordinal, signal) => getJson("step", { run, ordinal }, signal);
export const getStepByNumber = (run, step) => getJson("step", { run, step });

/** Whether an error only says that a newer request took the place of this one. */
export const isAbort = (error) => error.name === "AbortError";

/** Runs one request at a time: a new one cancels the one under way. */
export class Latest {
  #controller = null;

  async run(request) {
    this.cancel();
    this.#controller = new AbortController();
    return request(this.#controller.signal);
  }

  cancel() {
    this.#controller?.abort();
  }
}

/** A figure of the JSON replies: null is NaN, "inf" and "-inf" are infinite. */
export function figure(value) {
  if (value === null || value === undefined) return NaN;
  if (value === "inf") return Infinity;
  if (value === "-inf") return -Infinity;
  return value;
}

async function get(route, query, signal) {
  const url = new URL(route, BASE);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined) url.searchParams.set(name, value);
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

async function reason(response, route) {
  const type = response.headers.get("Content-Type") ?? "";
  if (type.includes("json")) {
    const { error } = await response.json();
    if (error) return error;
  }
  return `The request “${route}” failed (HTTP ${response.status}).`;
}

async function getJson(route, query, signal) {
  return (await get(route, query, signal)).json();
}

/** A packed reply: its header, and its arrays by name. */
async function getArrays(route, query, signal) {
  return unpack(await (await get(route, query, signal)).arrayBuffer());
}

/** uint32 length of the JSON header, the header, then the arrays in its order; little endian. */
function unpack(buffer) {
  const headerLength = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, headerLength)));
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
