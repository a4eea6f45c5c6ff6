"""The loop over the stages, and what runs it."""
