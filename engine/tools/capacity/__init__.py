"""How many cameras this machine can watch: the measured ceilings of its stages against the demand of the cameras."""
