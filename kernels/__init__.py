"""The reductions: one pass over one tensor gives one row.

This package knows tensors only, nothing of models, hooks, steps or files. Read it in this order:

1. `bins`: the 128 histogram bins and the rule that puts a value into one.
2. `row`: the fixed-size record that a reduction gives, and how two of them merge.
3. `layouts`: from any tensor to the real numbers that it stores.
4. `torch_backend`: the specification, in plain torch, on any device.
5. `float32_bits`, `torch_cpu`: the same rows for float32 values in CPU memory, at a fraction of the cost;
   `small_tensors`: of many small ones at once.
   `numba_histogram`, `numba_loops`, `numba_parts`, `numba_backend`: at a sixth of that, on torch's own
   threads (`thread_team`), where numba is installed; from a bin, to a row, to all tensors of a call.
6. `triton_histogram`, `triton_reduction`, `triton_kernels`: the same rows on a CUDA device, each value read
   once; from one value's bin, to one program's chunk, to one launch for many tensors.
7. `triton_compiler`, `triton_tables`, `triton_backend`: how these are compiled, fed and launched.
8. `triton_check`: that they are right on this device.
9. `backends`: which implementation runs.

`bins` and `row` import numpy alone, so that the reading side never loads torch. Triton is imported only
where it is used. What was tried and measured is in README.md.
"""
