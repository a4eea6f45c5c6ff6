"""The command line of the operator and what it needs."""
