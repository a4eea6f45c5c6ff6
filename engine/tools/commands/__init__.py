"""The commands of `qyran`, a module each: what is behind the options that `engine.tools.cli` declares."""
