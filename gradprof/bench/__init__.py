"""`gradprof bench`: what gradprof costs on this machine, each figure beside its bound.

`command` runs `step`, `kernels` and `writer`. Each checks that what it times is right, and only then
measures with `pairs`, so that a machine whose speed changes meanwhile changes both sides of a ratio.
"""
