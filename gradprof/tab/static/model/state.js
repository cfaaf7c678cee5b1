// What is shown: one flat record, kept in TensorBoard's URL so that a view can be sent to someone.

/** @typedef {"from" | "to" | "top" | "bottom" | "low" | "high" | "at" | "pin"} NumberKey */
/** @typedef {"run" | "other" | "kind" | "metric" | "filter" | "site"} TextKey */
/** @typedef {{view: "map" | "site" | "step", order: "model" | "worst", collapsed: readonly string[]}} OtherState */
/** @typedef {Record<NumberKey, number | null> & Record<TextKey, string> & OtherState} State */
/** @typedef {ReadonlySet<keyof State>} Changed the fields that are not what they were */
/** @typedef {Record<string, string>} Parameters */
/**
 * Where the state is kept.
 * @typedef {object} Address
 * @property {() => Parameters} read
 * @property {(parameters: Parameters, push: boolean) => void} write
 * @property {(listener: (parameters: Parameters) => void) => void} onChange
 */

/** @type {Readonly<State>} */
const DEFAULTS = Object.freeze({
  run: "",
  other: "", // the run compared with, beside it
  view: "map", // map, site or step
  kind: "",
  metric: "log10_abs_max",
  filter: "",
  order: "model", // model or worst
  collapsed: Object.freeze([]), // paths of collapsed groups
  from: null, // ordinals of steps in view, `to` excluded; null follows the whole run
  to: null,
  top: null, // rows in view; null for all
  bottom: null,
  low: null, // colour limits; null as suggested
  high: null,
  site: "", // label of the opened site
  at: null, // ordinal of the opened step
  pin: null, // ordinal of the step pinned beside it
});

const KEYS = /** @type {(keyof State)[]} */ (Object.keys(DEFAULTS));
const NUMBERS = new Set(["from", "to", "top", "bottom", "low", "high", "at", "pin"]);
/** @type {Record<string, string[]>} */
const CHOICES = { view: ["map", "site", "step"], order: ["model", "worst"] };

/** The state that URL parameters stand for; what cannot be read keeps its default. @param {Parameters} parameters */
export function parse(parameters) {
  const state = { ...DEFAULTS };
  for (const [key, text] of Object.entries(parameters)) {
    if (!Object.hasOwn(DEFAULTS, key)) continue;
    const value = parseValue(key, text);
    if (value !== undefined) Object.assign(state, { [key]: value });
  }
  return state;
}

/** @param {string} key @param {string} text */
function parseValue(key, text) {
  if (NUMBERS.has(key)) return text !== "" && Number.isFinite(Number(text)) ? Number(text) : undefined;
  if (key in CHOICES) return CHOICES[key].includes(text) ? text : undefined;
  if (key !== "collapsed") return text;
  try {
    const paths = JSON.parse(text);
    return Array.isArray(paths) ? paths.filter((path) => typeof path === "string") : undefined;
  } catch {
    return undefined; // a URL cut short on its way
  }
}

/** The parameters that give `state` back; defaults are left out. @param {State} state */
export function format(state) {
  /** @type {Parameters} */
  const parameters = {};
  for (const key of KEYS) {
    const value = state[key];
    if (same(value, DEFAULTS[key])) continue;
    parameters[key] = Array.isArray(value) ? JSON.stringify(value) : String(tidy(value));
  }
  return parameters;
}

/** @typedef {State[keyof State]} Value */
/** @param {Value} value */
const tidy = (value) => (typeof value === "number" ? Number(value.toFixed(3)) : value);
/** @type {(a: Value, b: Value) => boolean} */
const same = (a, b) => (Array.isArray(a) ? JSON.stringify(a) === JSON.stringify(b) : a === b);

/** Holds the state, writes it to the URL, and tells whoever listens what changed. */
export class Store {
  /** @type {((changed: Changed) => void)[]} */
  #listeners = [];

  /** @param {Address} address */
  constructor(address) {
    this.address = address;
    this.state = parse(address.read());
    address.onChange((parameters) => this.#replace(parse(parameters)));
  }

  /** @param {(changed: Changed) => void} listener */
  listen(listener) {
    this.#listeners.push(listener);
  }

  /**
   * Changes some fields. A change of place (`push`) can be taken back with the browser's Back.
   * @param {Partial<State>} changes
   */
  set(changes, { push = false } = {}) {
    const next = { ...this.state, ...changes };
    const changed = changedKeys(this.state, next);
    if (changed.size === 0) return;
    this.state = next;
    this.address.write(format(next), push);
    this.#tell(changed);
  }

  /** @param {State} next */
  #replace(next) {
    const changed = changedKeys(this.state, next);
    this.state = next;
    if (changed.size > 0) this.#tell(changed);
  }

  /** @param {Changed} changed */
  #tell(changed) {
    for (const listener of this.#listeners) listener(changed);
  }
}

/** @type {(before: State, after: State) => Set<keyof State>} */
function changedKeys(before, after) {
  return new Set(KEYS.filter((key) => !same(before[key], after[key])));
}
