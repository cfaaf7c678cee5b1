"""The writing side, on a thread of its own: blocks and chunks of a run, and what the stock dashboards show."""
