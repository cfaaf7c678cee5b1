// What the pointer does on a picture, in CSS pixels from its top left corner.

/**
 * @typedef {object} Actions
 * @property {(axis: "steps" | "rows", factor: number, x: number, y: number) => void} zoom
 * @property {(dx: number, dy: number) => void} pan
 * @property {(x: number, y: number) => void} hover
 * @property {() => void} leave
 * @property {(x: number, y: number) => void} click
 * @property {() => void} reset
 */

const CLICK_SLACK = 4; // a press that moves less is a click
const WHEEL_LINE = 16; // pixels of a wheel's "line"

/**
 * The wheel zooms the steps, with Shift the rows; a sideways wheel pans.
 * @param {HTMLElement} element @param {Actions} actions
 */
export function listenToPointer(element, actions) {
  element.addEventListener("wheel", (event) => onWheel(event, actions), { passive: false });
  element.addEventListener("pointerleave", () => actions.leave());
  element.addEventListener("dblclick", () => actions.reset());
  listenToDrag(element, actions);
}

/** @param {WheelEvent} event @param {Actions} actions */
function onWheel(event, actions) {
  event.preventDefault();
  const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? WHEEL_LINE : 1;
  const [dx, dy] = [event.deltaX * unit, event.deltaY * unit];
  // browsers turn Shift and the wheel into a sideways wheel
  if (event.shiftKey) actions.zoom("rows", factorOf(dy || dx), event.offsetX, event.offsetY);
  else if (Math.abs(dx) > Math.abs(dy)) actions.pan(-dx, 0);
  else actions.zoom("steps", factorOf(dy), event.offsetX, event.offsetY);
}

/** How much a turn of the wheel zooms. @param {number} delta */
export const factorOf = (delta) => Math.exp(Math.max(-240, Math.min(240, delta)) * 0.0025);

/** @param {HTMLElement} element @param {Actions} actions */
function listenToDrag(element, actions) {
  /** @type {{x: number, y: number, moved: boolean} | null} */
  let press = null;
  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    press = { x: event.clientX, y: event.clientY, moved: false };
    element.setPointerCapture(event.pointerId);
  });
  element.addEventListener("pointermove", (event) => {
    if (!press) return actions.hover(event.offsetX, event.offsetY);
    const [dx, dy] = [event.clientX - press.x, event.clientY - press.y];
    if (!press.moved && Math.hypot(dx, dy) < CLICK_SLACK) return undefined;
    press = { x: event.clientX, y: event.clientY, moved: true };
    element.classList.add("dragged");
    actions.leave();
    return actions.pan(dx, dy);
  });
  element.addEventListener("pointerup", (event) => {
    if (press && !press.moved) actions.click(event.offsetX, event.offsetY);
    press = null;
    element.classList.remove("dragged");
  });
  element.addEventListener("pointercancel", () => {
    press = null;
    element.classList.remove("dragged");
  });
}
