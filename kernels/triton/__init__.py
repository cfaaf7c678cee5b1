"""Fused kernels for CUDA devices, each value read once: from one value's bin (`histogram`), to one program's
chunk (`chunk`), to one launch for many tensors (`kernels`); compiled by `compiler`, fed by `tables`, launched
by `reducer`, and held against the specification on the device at hand by `check`."""
