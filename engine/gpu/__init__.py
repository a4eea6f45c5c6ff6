"""The GPU itself, whoever works on it.

`health` watches it, `errors` says what its libraries mean when they fail, `share` is one of several in a host.
"""
