"""The reductions: one pass over one tensor gives one row.

This package knows tensors only, nothing of models, hooks, steps or files. Read it in this order:

1. `bins`: the 128 histogram bins and the rule that puts a value into one.
2. `row`: the fixed-size record that a reduction gives, and how two of them merge.
3. `torch_backend`: the specification, in plain torch, on any device.
4. `torch_cpu`: the same rows for float32 values in CPU memory, at a fraction of the cost.
5. `backends`: which implementation runs.

`bins` and `row` import numpy alone, so that the reading side never loads torch.
"""
