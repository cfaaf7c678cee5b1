"""`gradprof bench`: what gradprof costs on this machine, each figure beside its bound.

`command` runs `step`, `kernels` and `writer`. Each checks that what it times is right, and only then
measures with `pairs`, so that a machine whose speed changes meanwhile changes both sides of a ratio.

`step` trains one of `trainings` (of torchvision, from `decoders`, or a `target` of the caller's) as several
`twin`s, the `contenders`: bare, watched by gradprof, or by one of the `alternatives`. `resources` and
`device_counts` gather what a step takes besides time, `step_results` makes the figures, and `per_layer` times
each site alone. `event_file` puts whatever was measured where TensorBoard finds it.

`kernels` has parts: `idiom`, `single_tensor`, `many_tensors`, `launch_cost`. They share what tensors hold
(`contents`, `shapes`), how much is measured (`sizes`), what must come out (`expected`, by numpy and
`plain_torch`), the device's time (`clock`) and the speed of mere reading (`ceiling`).
"""
