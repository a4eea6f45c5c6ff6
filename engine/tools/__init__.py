"""What an operator runs: the command line and what stands behind it."""
