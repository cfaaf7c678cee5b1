// The current view as a PNG or CSV file.

import { FONT } from "../draw/axes.js";
import { contextOf, h } from "./dom.js";

/** @import { Context, Theme } from "../draw/axes.js" */
/** @typedef {{element: HTMLElement, paint(ctx: Context): void}} Paintable it draws what its element shows */

const MARGIN = 16;
const HEADING = 48;
const LEAST_RATIO = 2; // sharp enough for a document

/** @type {(view: Paintable, heading: {title: string, detail: string}, theme: Theme, name: string) => void} */
export function savePng(view, heading, theme, name) {
  const { width, height } = view.element.getBoundingClientRect();
  const ratio = Math.max(LEAST_RATIO, window.devicePixelRatio || 1);
  const canvas = h("canvas");
  canvas.width = (width + 2 * MARGIN) * ratio;
  canvas.height = (height + HEADING + 2 * MARGIN) * ratio;
  const ctx = contextOf(canvas);
  ctx.scale(ratio, ratio);
  ctx.fillStyle = theme.paper;
  ctx.fillRect(0, 0, canvas.width, canvas.height);
  ctx.fillStyle = theme.ink;
  ctx.textBaseline = "top";
  ctx.font = FONT.replace("11px", "600 15px");
  ctx.fillText(heading.title, MARGIN, MARGIN);
  ctx.font = FONT.replace("11px", "12px");
  ctx.fillStyle = theme.muted;
  ctx.fillText(heading.detail, MARGIN, MARGIN + 22);
  ctx.translate(MARGIN, MARGIN + HEADING);
  view.paint(ctx);
  canvas.toBlob((blob) => blob && download(blob, `${name}.png`), "image/png");
}

/** @param {(string | number)[][]} table lines of cells, the first of them the header @param {string} name */
export function saveCsv(table, name) {
  const text = table.map((cells) => cells.map(csvCell).join(",")).join("\r\n");
  download(new Blob([text, "\r\n"], { type: "text/csv" }), `${name}.csv`);
}

/**
 * Quoted where it must be; a name that a spreadsheet would take for a formula is made plain text.
 * @param {string | number} value
 */
function csvCell(value) {
  if (typeof value === "number") return String(value);
  const text = /^[=@\t\r]|^[+-](?![\d.]|inf$)/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** @param {Blob} blob @param {string} name */
function download(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = h("a", { href: url, download: name.replaceAll(/[^\w.-]+/g, "_") });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
