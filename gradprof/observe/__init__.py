"""`watch` and `measure`: from a model's hooks to the rows of a step, and what of it is observed when."""
