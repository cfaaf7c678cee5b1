"""Loops that numba compiles, on torch's own threads: from a bin (`histogram`), to a row (`loops`), to all
tensors of a call (`parts`); `team` runs them, and a backend begins at `reducer`."""
