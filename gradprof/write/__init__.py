"""The writing side, on a thread of its own: a run's blocks and chunks, and what the stock dashboards show."""
