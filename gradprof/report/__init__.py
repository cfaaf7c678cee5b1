"""`gradprof report`: a run in a terminal, or as JSON or CSV."""
