"""`gradprof bench`: what gradprof costs in your own training, in pairs of steps with and without.

`step` trains one of `trainings` (a model that we bring, or the caller's `target`) as several `twin`s, the
`contenders`: bare, watched by gradprof, or by one of the `alternatives`. It checks that watching changes
nothing, and only then measures in `pairs`, so that a machine whose speed changes meanwhile changes both sides
of a ratio. `resources` and `device_counts` gather what a step takes besides time, `step_results` makes the
figures, `own_measure` sets them beside gradprof's own, `per_layer` times each site by the device's `clock`.

`command` runs it; `results`, `table` and `output` serve `tests/benchmarks` too.
"""
