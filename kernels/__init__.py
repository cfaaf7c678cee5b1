"""The reductions: one pass over one tensor gives one row.

This package knows tensors only, nothing of models, hooks, steps or files. Read it in this order:

1. `bins`: the 128 histogram bins and the rule that puts a value into one.
2. `row`: the fixed-size record that a reduction gives, and how two of them merge.
3. `layouts`: from any tensor to the real numbers that it stores.
4. `torch/`: the specification, in plain torch, on any device (`torch/reducer`).
5. `float32_bits`, `torch/cpu`: the same rows for float32 values in CPU memory, at a fraction of the cost;
   `torch/small`: of many small ones at once.
6. `numba/`: at a sixth of that, where numba is installed.
7. `triton/`: the same rows on a CUDA device, each value read once, one launch for many tensors.
8. `reducer`: which implementation runs.

`bins` and `row` import numpy alone, so that the reading side never loads torch. Triton is imported only
where it is used. What was tried and measured is in README.md.
"""
