"""`gradprof demo`: a small training, watched at every iteration."""
