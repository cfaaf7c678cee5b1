// Two runs side by side: the rows and the limits that both are shown with.

/** @import { RunInfo } from "./run_info.js" */

/**
 * Labels of both runs in model order: the first's, with those that only the second has put behind the
 * label that they follow there.
 * @type {(first: string[], second: string[]) => string[]}
 */
function mergeLabels(first, second) {
  const known = new Set(first);
  /** @type {Map<string | null, string[]>} */
  const following = new Map(); // label (null: the start) to what comes behind it
  /** @type {string | null} */
  let anchor = null;
  for (const label of second) {
    if (known.has(label)) anchor = label;
    else following.set(anchor, [...(following.get(anchor) ?? []), label]);
  }
  return [
    ...(following.get(null) ?? []),
    ...first.flatMap((label) => [label, ...(following.get(label) ?? [])]),
  ];
}

/** Labels of a kind over all runs shown. @type {(infos: RunInfo[], kind: string) => string[]} */
export const labelsOf = (infos, kind) => infos.map((info) => info.labels(kind)).reduce(mergeLabels);

/** The steps that the shared axis spans: those of the longest run, at least one. @param {RunInfo[]} infos */
export const stepsOf = (infos) => Math.max(1, ...infos.map((info) => info.n));

/** The kinds that any run has: the first's in their usual order, then what only another has. @param {RunInfo[]} infos */
export const kindsOf = (infos) => [
  ...new Map(infos.flatMap(({ kinds }) => kinds.map((kind) => [kind.name, kind]))).values(),
];
