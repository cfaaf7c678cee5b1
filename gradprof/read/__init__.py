"""A run back from its event file; no torch."""
