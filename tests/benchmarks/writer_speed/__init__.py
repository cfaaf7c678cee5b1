"""The cost of writing a step: `measure` it, beside torch's `summary_writer`, and what a loop in Python feels
of it, `spin`; pairs and tables are those of `gradprof.bench`."""
