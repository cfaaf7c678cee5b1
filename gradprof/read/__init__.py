"""A run back from where it was written; no torch.

1. `source`: the tags of a run, in a file or (implemented in `tab.provider`) behind TensorBoard.
2. `opening`, `blocks`, `recording`: from there to a run by ordinal; nothing is read before it is needed.
3. `columns`: many steps as columns: the event file's own, the rest from the rows.
4. `run`: the same by step numbers and names, `gradprof.load`; `find`: where the runs are.
"""
