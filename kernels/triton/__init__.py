"""Fused kernels for CUDA devices, each value read once. From one value's bin (`histogram`) and a `block` of
values, to what is known of some (`partial`), by two passes (`fast`, `careful`) over one program's `chunk`; to
the programs of a tensor (`gather`), and one launch for many tensors (`kernels`). Compiled by `compiler`, fed
by `tables`, launched by `reducer`, and held against the specification on the device at hand by `check`."""
