// An opened step as a table of its numbers.

/** One line for each run, step shown and site in `rows`: every metric, empty where it is undefined. */
export function stepTable(panels, rows, metrics) {
  const table = [["run", "step", "site", ...metrics]];
  const shown = new Set(rows.flatMap((row) => row.sites));
  for (const { info, replies } of panels) {
    for (const reply of Object.values(replies)) {
      reply.sites.forEach((site, line) => {
        const { label } = info.sites[site];
        const values = metrics.map((name) => String(reply.metrics[name][line] ?? ""));
        if (shown.has(label)) table.push([info.run, reply.step, label, ...values]);
      });
    }
  }
  return table;
}
