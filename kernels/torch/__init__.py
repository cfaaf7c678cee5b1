"""Plain torch, on any device: `reducer` is the specification; `cpu` and `small` take the same rows of float32
values in CPU memory at a fraction of the cost, of one tensor and of many small ones."""
