"""Progress, Ctrl-C, a word to whoever waits."""
