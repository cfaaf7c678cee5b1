// Numbers as people read them.

const counts = new Intl.NumberFormat("en");

/** @param {number} n */
export const count = (n) => counts.format(n);

/** @type {(n: number, one: string, many?: string) => string} */
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** Three significant digits: 0.0213, 41.5, 3.20e-5. @param {number} value */
export function number(value) {
  if (Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const magnitude = Math.abs(value);
  if (magnitude >= 0.001 && magnitude < 10000) return signed(String(Number(value.toPrecision(3))));
  return signed(value.toExponential(2));
}

/**
 * A value of a metric, in the words of that metric: a logarithm becomes the magnitude it stands for.
 * @param {string} metric @param {number} value
 */
export function metricValue(metric, value) {
  if (Number.isNaN(value)) return "undefined";
  if (metric.startsWith("log10_")) return number(10 ** value);
  if (metric === "l2_change") return value === -Infinity ? "fell to 0" : `× ${number(10 ** value)}`;
  if (metric === "non_finite") return count(value);
  return share(value);
}

/** @param {number} value */
export function share(value) {
  return Number.isNaN(value) ? "–" : `${number(100 * value)} %`;
}

/** 10 to a power, such as 10⁻³ or 10^-2.5. @param {number} exponent */
export function power(exponent) {
  const rounded = Number(exponent.toFixed(2));
  if (!Number.isInteger(rounded)) return number(10 ** exponent);
  const digits = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  const raised = [...String(Math.abs(rounded))].map((digit) => digits[Number(digit)]).join("");
  return `10${rounded < 0 ? "⁻" : ""}${raised}`;
}

/** The shortest text that gives back the same float32. @param {number} value */
export function exactFloat32(value) {
  if (Number.isNaN(value)) return "";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  for (let digits = 1; digits < 9; digits++) {
    const text = Number(value.toPrecision(digits));
    if (Math.fround(text) === value) return String(text);
  }
  return String(Number(value.toPrecision(9)));
}

/** "step 12", or "steps 12–15" where a column covers several. @param {number} first @param {number} last */
export function stepSpan(first, last) {
  return first === last ? `step ${count(first)}` : `steps ${count(first)}–${count(last)}`;
}

/** @param {string} text */
const signed = (text) => text.replace(/^-/, "−");
