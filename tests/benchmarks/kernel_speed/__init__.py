"""The speed of the reductions. Each part checks that what it times is right, and only then measures.

The parts: `idiom` against numpy, `single_tensor`, `many_tensors`, `launch_cost`. They share what tensors hold
(`contents`, `models`), how much is measured (`sizes`), what must come out (`expected`, by numpy and
`plain_torch`) and the speed of mere reading (`ceiling`); pairs, clock and tables are `gradprof.bench`'s.
"""
