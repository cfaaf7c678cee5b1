"""`gradprof bench`: what gradprof costs on this machine, each figure beside its bound.

`command` runs `step`, `kernels` and `writer`. Each checks that what it times is right, and only then
measures with `pairs`, so that a machine whose speed changes meanwhile changes both sides of a ratio.

`kernels` has parts: `idiom`, `single_tensor`, `many_tensors`, `launch_cost`. They share what tensors hold
(`contents`, `shapes`), how much is measured (`sizes`), what must come out (`expected`, by numpy and
`plain_torch`), the device's time (`clock`) and the speed of mere reading (`ceiling`).
"""
