// The tab as a whole: reads the runs, holds the state, and shows the view that the state asks for.

import { ApiError, getRun, getRuns, isAbort, Latest } from "./model/api.js";
import { kindsOf } from "./model/compare.js";
import { RunInfo } from "./model/run_info.js";
import { readTheme } from "./draw/axes.js";
import { Controls } from "./widgets/controls.js";
import { h } from "./widgets/dom.js";
import { saveCsv, savePng } from "./widgets/export.js";
import { followTheme, onReload, takeFocus } from "./widgets/host.js";
import { Keys, listenToKeys } from "./widgets/keyboard.js";
import { Banner, loading, noRuns, noSteps, unreadable } from "./widgets/messages.js";
import { Tooltip } from "./widgets/tooltip.js";
import { MapView } from "./views/map_view.js";
import { SiteView } from "./views/site_view.js";
import { StepView } from "./views/step_view.js";

/** @import { ListedRun } from "./model/replies.js" */
/** @import { Changed, Store } from "./model/state.js" */

const VIEWS = { map: MapView, site: SiteView, step: StepView };
const HINT =
  "Wheel zooms steps, Shift and wheel rows; drag moves; double click shows everything; ? lists the keys";

export class App {
  #latest = new Latest();

  /** @param {Store} store */
  constructor(store) {
    this.store = store;
    /** @type {ListedRun[]} */
    this.runs = [];
    /** @type {RunInfo[]} */
    this.infos = []; // of each run shown: one, or two side by side
    /** @type {MapView | SiteView | StepView | null} */
    this.view = null;
    this.theme = readTheme();
    this.tooltip = new Tooltip({
      openSite: (label) => this.openSite(label),
      openStep: (ordinal) => this.openStep(ordinal),
      said: (text) => (this.status.textContent = text),
    });
    this.keys = new Keys();
    this.banner = new Banner();
    this.controls = new Controls(this);
    this.headline = h("header", {});
    this.stage = h("main", {});
    this.status = h("p", { class: "status", role: "status", "aria-live": "polite" });
    const footer = h("footer", {}, this.status);
    this.element = h(
      "div",
      { class: "app" },
      this.controls.element,
      this.banner.element,
      this.headline,
      this.stage,
      footer,
      this.tooltip.element,
      this.keys.element,
    );
  }

  /** Puts the tab on the page and keeps it up to date. */
  async start() {
    document.body.replaceChildren(this.element);
    followTheme(() => this.#restyle());
    this.store.listen((changed) => this.#follow(changed));
    listenToKeys(this);
    takeFocus();
    this.#show(loading());
    new ResizeObserver(() => this.view?.resize()).observe(this.stage);
    onReload(() => this.refresh());
    await this.refresh();
  }

  /** Name of the first run shown: the one asked for, else the latest that can be read. */
  get run() {
    const { run } = this.store.state;
    if (run || this.runs.length === 0) return run;
    const best = this.runs.findLast(({ error, steps }) => !error && steps) ?? this.runs[this.runs.length - 1];
    return best.run;
  }

  /** The kind shown: the one asked for if a run has it, else the first. */
  get kind() {
    const kinds = kindsOf(this.infos).map(({ name }) => name);
    const { kind } = this.store.state;
    return kind === "all" || kinds.includes(kind) ? kind : (kinds[0] ?? "all");
  }

  /** @param {string} label */
  openSite(label) {
    this.tooltip.hide();
    this.store.set({ view: "site", site: label }, { push: true });
  }

  /** @param {number} ordinal */
  openStep(ordinal) {
    this.tooltip.hide();
    this.store.set({ view: "step", at: ordinal }, { push: true });
  }

  back() {
    this.tooltip.hide();
    this.store.set({ view: "map" }, { push: true });
  }

  /** Shows what went wrong; nothing is swallowed. @param {unknown} error */
  report(error) {
    if (isAbort(error)) return;
    if (!(error instanceof ApiError)) throw error; // the page's own failures are shown where they are heard of
    this.banner.show(error.message);
  }

  /** Reads runs and their size again; draws again only what has changed. */
  async refresh() {
    try {
      const { runs } = await this.#latest.run((signal) => getRuns(signal));
      this.runs = runs;
      this.banner.hide();
      await this.#readInfos();
    } catch (error) {
      if (isAbort(error)) return;
      if (this.view || !(error instanceof ApiError)) this.report(error);
      else this.#show(unreadable(this.run || "list", error.message, () => this.refresh()));
    }
  }

  async #readInfos() {
    if (this.runs.length === 0) return this.#showMessage(noRuns());
    const { run, other } = this.store.state;
    if (!run) return this.store.set({ run: this.run }); // from here on the address says which; comes back here
    const names = other && other !== run ? [run, other] : [run];
    const bad = this.runs.find((listed) => listed.error && names.includes(listed.run));
    if (bad?.error) return this.#showMessage(unreadable(bad.run, bad.error, () => this.refresh()));
    const before = this.infos.map(({ run, version }) => `${run} ${version}`).join();
    try {
      const replies = await this.#latest.run((signal) =>
        Promise.all(names.map((run) => getRun(run, signal))),
      );
      this.infos = replies.map((reply) => new RunInfo(reply));
    } catch (error) {
      if (isAbort(error)) return undefined;
      if (!(error instanceof ApiError)) throw error;
      return this.#showMessage(unreadable(names.join(" or "), error.message, () => this.refresh()));
    }
    this.controls.show();
    if (this.infos.every(({ n }) => n === 0)) return this.#showMessage(noSteps(run));
    const after = this.infos.map(({ run, version }) => `${run} ${version}`).join();
    if (this.view === null || before !== after) this.#update(null);
    return undefined;
  }

  /** @param {Changed} changed */
  #follow(changed) {
    const runsChanged = changed.has("run") || changed.has("other");
    if (runsChanged) {
      this.#readInfos().catch((error) => this.report(error));
      return;
    }
    if (this.infos.length) this.#update(changed);
  }

  /** Brings the view of the state in front, then tells it what changed. @param {Changed | null} changed */
  #update(changed) {
    const View = VIEWS[this.store.state.view];
    const before = this.view instanceof View ? this.view : null;
    const view = before ?? new View(this);
    if (!before) {
      this.view?.close();
      this.view = view;
      this.#show(view.element, view.heading);
      this.status.textContent = HINT;
    }
    this.controls.show();
    this.element.dataset.view = this.store.state.view;
    Promise.resolve(view.update(before ? changed : null)).catch((error) => this.report(error));
  }

  /** @param {HTMLElement} message */
  #showMessage(message) {
    this.view?.close();
    this.view = null;
    this.controls.show();
    this.status.textContent = "";
    this.#show(message);
  }

  /** @param {HTMLElement} element @param {HTMLElement[]} heading */
  #show(element, ...heading) {
    this.tooltip.hide();
    this.headline.replaceChildren(...heading);
    this.stage.replaceChildren(element);
  }

  #restyle() {
    this.theme = readTheme();
    this.view?.resize();
  }

  // --- export -------------------------------------------------------------------------------

  savePng() {
    if (!this.view) return;
    const { state } = this.store;
    const titles = { map: this.infos[0].title(state.metric), site: state.site, step: this.#stepTitle() };
    const heading = {
      title: `${this.infos.map(({ run }) => run).join(" and ")} · ${titles[state.view]}`,
      detail: this.infos[0].summary,
    };
    savePng(this.view, heading, this.theme, this.#fileName());
  }

  saveCsv() {
    if (this.view) saveCsv(this.view.table(), this.#fileName());
  }

  #stepTitle() {
    return `step ${this.view instanceof StepView ? (this.view.panels[0]?.profile?.step ?? "") : ""}`;
  }

  #fileName() {
    const { view, metric, site } = this.store.state;
    const what = { map: metric, site, step: this.#stepTitle() }[view];
    return ["gradprof", ...this.infos.map(({ run }) => run), what].join("-");
  }
}
