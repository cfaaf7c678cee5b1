"""The routes below `/data/plugin/gradprof/`, all of them GET.

| route | parameters | answer |
| --- | --- | --- |
| `index.js`, `model/api.js`, … | | the page's files: those in `static/` when TensorBoard started |
| `runs` | | JSON: every run with its size, or why it cannot be read |
| `run` | `run` | JSON: its sites, metrics, options; `version` changes when there are new steps |
| `heatmap` | `run`, `metric`, `kind`, `from`, `to`, `columns` | arrays: a metric of all sites, pooled |
| `cell` | `run`, `site`, `metric`, `from`, `to` | JSON: the worst step of one site within a window |
| `site` | `run`, `site`, `from`, `to`, `columns` | arrays: histograms and quantiles of one site |
| `step` | `run`, and `ordinal` or `step` | JSON: every site at one step |

`run` is TensorBoard's name of the run, `site` an index into the run's sites, `metric` one of
`record.metrics.METRICS`, `kind` one of `record.sites.KINDS`, or `all`. A step's *ordinal* is its place
among the observed steps of its run; `from` (inclusive) and `to` (exclusive) are ordinals, by default the
whole run, cut off at its end. `columns` is at most 4096.

JSON has null for NaN and "inf" or "-inf" for infinities. Arrays come as `replies.frame` describes. An error
is `{"error": sentence}` with status 400 (the request), 405 (not GET), 422 (the run cannot be read) or 500
(a failure inside; its traceback is in TensorBoard's log).
"""

from __future__ import annotations

ROUTES = ("runs", "run", "heatmap", "cell", "site", "step")
"""Each is answered by `answer` in the module of that name beside this one."""
