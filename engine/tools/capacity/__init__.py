"""How many cameras this machine can watch: its ceilings measured, the cameras' demand held against them."""
