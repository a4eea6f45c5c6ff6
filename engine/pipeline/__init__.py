"""The loop over the stages and what runs it: the runner, the mailbox, the recorder."""
