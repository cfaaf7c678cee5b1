"""What records say: what each site did over a run, and the answer to whether any gradient reached 1."""
