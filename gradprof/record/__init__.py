"""A step on the host, numpy only: its sites and kinds, the figures of a row, metrics, and how steps become
columns."""
