// TensorBoard around the tab: its URL, its theme and its reloads. The tab is an iframe of the same origin;
// opened by itself, or where the parent may not be touched, it falls back to its own window.

/** @import { Address, Parameters } from "../model/state.js" */

const PLUGIN = "gradprof";
const PREFIX = `p.${PLUGIN}.`;
const RELOADED = "experimental.DataReloaded";
const SLOW_RELOAD_MS = 30_000;

/** The window whose address bar people see. */
const shell = (() => {
  try {
    return window.parent.document ? window.parent : window;
  } catch {
    return window; // another origin
  }
})();

/** Parameters of ours in TensorBoard's hash: `#gradprof&p.gradprof.run=demo&…`. @type {Address} */
export const address = {
  read: () => splitHash().ours,

  write(parameters, push) {
    const { tab, others } = splitHash();
    if (tab !== PLUGIN && shell !== window) return; // another tab is in front: the URL is its own
    const mine = Object.entries(parameters).map(([name, value]) => [PREFIX + name, value]);
    const pairs = [...others, ...mine].map((pair) => pair.map(encodeURIComponent).join("="));
    const hash = `#${[tab, ...pairs].join("&")}`;
    if (hash === shell.location.hash) return;
    if (push) shell.history.pushState(shell.history.state, "", hash);
    else shell.history.replaceState(shell.history.state, "", hash);
  },

  onChange(listener) {
    const gone = new AbortController();
    const changed = () => {
      const { tab, ours } = splitHash();
      if (tab === PLUGIN || shell === window) listener(ours);
    };
    shell.addEventListener("popstate", changed, { signal: gone.signal });
    window.addEventListener("pagehide", () => gone.abort());
  },
};

function splitHash() {
  const [tab, ...parts] = shell.location.hash.slice(1).split("&");
  /** @type {Parameters} */
  const ours = {};
  /** @type {string[][]} */
  const others = [];
  for (const part of parts) {
    const pair = part.split("=").map(decode);
    if (pair.length !== 2) continue;
    if (pair[0].startsWith(PREFIX)) ours[pair[0].slice(PREFIX.length)] = pair[1];
    else others.push(pair);
  }
  return { tab, ours, others };
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a URL typed by hand
  }
}

/** Takes the keyboard, unless someone is using TensorBoard's own controls. */
export function takeFocus() {
  if (shell.document.activeElement === shell.document.body) window.focus();
}

/** Follows TensorBoard's light or dark theme; without TensorBoard, the system's. @param {() => void} listener */
export function followTheme(listener) {
  const body = shell.document.body;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const dark = shell === window ? system.matches : body.classList.contains("dark-mode");
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    listener();
  };
  if (shell === window) system.addEventListener("change", apply);
  else {
    const observer = new MutationObserver(apply);
    observer.observe(body, { attributes: true, attributeFilter: ["class"] });
    window.addEventListener("pagehide", () => observer.disconnect());
  }
  apply();
}

/**
 * Calls `listener` when TensorBoard reloads its data, and every half minute while the tab is seen.
 * @param {() => void} listener
 */
export function onReload(listener) {
  if (window.parent !== window) {
    const channel = new MessageChannel();
    channel.port1.onmessage = ({ data }) => {
      const { type, id, isReply } = JSON.parse(data);
      if (isReply) return;
      channel.port1.postMessage(JSON.stringify({ type, id, payload: null, error: null, isReply: true }));
      if (type === RELOADED) listener();
    };
    window.parent.postMessage("experimental.bootstrap", window.location.origin, [channel.port2]);
  }
  setInterval(() => {
    if (document.visibilityState === "visible") listener();
  }, SLOW_RELOAD_MS);
}
