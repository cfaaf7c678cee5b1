// Sites as rows: grouped by module path and collapsible, filtered by text or /expression/, in model order or
// the worst first.

/**
 * `label` is short beside the names of its groups, `path` is whole; `sites` are labels of sites, several in a closed
 * group, whose own path is `group`.
 * @typedef {{key: string, label: string, path: string, title: string, sites: string[], group: string | null}} Row
 */
/** @typedef {{path: string, name: string, level: number, first: number, last: number}} Strip `last` is included */
/** @typedef {{rows: Row[], strips: Strip[], levels: number}} Layout */
/** @typedef {{label: string, name: string, path: string[]}} Leaf */
/**
 * @typedef {object} Options
 * @property {readonly string[]} [collapsed]
 * @property {string} [filter]
 * @property {"model" | "worst"} [order]
 * @property {((label: string) => number) | null} [badness]
 * @property {string} [kind]
 */

const MOST_LEVELS = 3;
const LEAST_MEMBERS = 4; // a smaller group is not worth a strip of its own

/**
 * The rows to show, and the open groups beside them as strips.
 * @type {(labels: string[], options: Options) => Layout}
 */
export function arrange(
  labels,
  { collapsed = [], filter = "", order = "model", badness = null, kind = "all" },
) {
  const wanted = labels.filter(matcher(filter));
  if (order === "worst" && badness) {
    const ranked = wanted.map((label) => ({ label, bad: badness(label) })).sort((a, b) => b.bad - a.bad);
    return {
      rows: ranked.map(({ label }) => siteRow(label, nameOf(label, kind), nameOf(label, kind))),
      strips: [],
      levels: 0,
    };
  }
  const leaves = wanted.map((label) => ({ label, name: nameOf(label, kind), path: pathOf(label, kind) }));
  /** @type {Layout} */
  const layout = { rows: [], strips: [], levels: 0 };
  place(leaves, 0, "", 0, layout, new Set(collapsed));
  return layout;
}

/** A site's name, with its kind where several are in sight. @type {(label: string, kind: string) => string} */
const nameOf = (label, kind) => (kind === "all" ? label : label.slice(label.indexOf("/") + 1));

/**
 * Module path of a site; with several kinds in sight the kind is its first part.
 * @type {(label: string, kind: string) => string[]}
 */
function pathOf(label, kind) {
  const slash = label.indexOf("/");
  const modules = label.slice(slash + 1).split(".");
  return kind === "all" ? [label.slice(0, slash), ...modules] : modules;
}

/**
 * Lays out consecutive `leaves` that share their first `depth` path parts.
 * @type {(leaves: Leaf[], depth: number, path: string, level: number, layout: Layout, closed: Set<string>) => void}
 */
function place(leaves, depth, path, level, layout, closed) {
  for (const members of runsOf(leaves, depth)) {
    const shared = sharedDepth(members, depth);
    const open = members.length < LEAST_MEMBERS || shared <= depth || level >= MOST_LEVELS;
    if (open) {
      for (const leaf of members)
        layout.rows.push(siteRow(leaf.label, leaf.path.slice(depth).join("."), leaf.name));
      continue;
    }
    const name = members[0].path.slice(depth, shared).join(".");
    const here = path ? `${path}.${name}` : name;
    if (closed.has(here)) {
      layout.rows.push(groupRow(here, members));
      continue;
    }
    const first = layout.rows.length;
    place(members, shared, here, level + 1, layout, closed);
    layout.strips.push({ path: here, name, level, first, last: layout.rows.length - 1 });
    layout.levels = Math.max(layout.levels, level + 1);
  }
}

/**
 * Consecutive leaves with the same path part at `depth`; leaves that end there stand alone.
 * @param {Leaf[]} leaves @param {number} depth
 */
function runsOf(leaves, depth) {
  /** @type {Leaf[][]} */
  const runs = [];
  for (const leaf of leaves) {
    const last = runs.at(-1);
    const deeper = leaf.path.length > depth + 1;
    if (last && deeper && last[0].path.length > depth + 1 && last[0].path[depth] === leaf.path[depth])
      last.push(leaf);
    else runs.push([leaf]);
  }
  return runs;
}

/**
 * How many path parts all members share, leaving each at least one of its own.
 * @param {Leaf[]} members @param {number} depth
 */
function sharedDepth(members, depth) {
  let shared = depth;
  const part = members[0].path;
  while (members.every(({ path }) => path.length > shared + 1 && path[shared] === part[shared])) shared += 1;
  return shared;
}

/** @type {(site: string, label: string, path: string) => Row} */
function siteRow(site, label, path) {
  return { key: site, label, path, title: site, sites: [site], group: null };
}

/** @type {(path: string, members: Leaf[]) => Row} */
function groupRow(path, members) {
  const sites = members.map((leaf) => leaf.label);
  return {
    key: `${path}/`,
    label: path,
    path,
    title: `${path}: the worst of ${sites.length}`,
    sites,
    group: path,
  };
}

/**
 * A predicate on labels; /…/ is a regular expression, anything else plain text without regard to case.
 * @param {string} filter @returns {(label: string) => boolean}
 */
function matcher(filter) {
  const expression = asExpression(filter);
  if (expression instanceof RegExp) return (label) => expression.test(label);
  const text = filter.trim().toLowerCase();
  return (label) => label.toLowerCase().includes(text);
}

/**
 * The collapsed groups, after one of them was opened or closed.
 * @param {readonly string[]} collapsed @param {string} path
 */
export function toggled(collapsed, path) {
  const closed = new Set(collapsed);
  if (!closed.delete(path)) closed.add(path);
  return [...closed];
}

/** What is wrong with a filter, in words; empty if nothing is. @param {string} filter */
export function filterProblem(filter) {
  const expression = asExpression(filter);
  return expression instanceof Error ? expression.message : "";
}

/** @param {string} filter */
function asExpression(filter) {
  const text = filter.trim();
  if (text.length < 3 || !text.startsWith("/") || !text.endsWith("/")) return null;
  try {
    return new RegExp(text.slice(1, -1), "i");
  } catch (error) {
    return /** @type {SyntaxError} */ (error);
  }
}
