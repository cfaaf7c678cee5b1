// The Gradients tab. TensorBoard imports this module in a frame of its own and calls `render()`.

import { Store } from "./model/state.js";
import { h } from "./widgets/dom.js";
import { address } from "./widgets/host.js";
import { App } from "./app.js";

export async function render() {
  document.title = "Gradients";
  document.documentElement.lang = "en";
  await loadStyle();
  const app = new App(new Store(address));
  window.addEventListener("unhandledrejection", ({ reason }) =>
    app.banner.show(`The page failed: ${reason.message}`),
  );
  window.addEventListener("error", ({ message }) => app.banner.show(`The page failed: ${message}`));
  await app.start();
}

function loadStyle() {
  return new Promise((done) => {
    const link = h("link", {
      rel: "stylesheet",
      href: new URL("style.css", import.meta.url),
      onload: done,
      onerror: done,
    });
    document.head.append(link);
  });
}
