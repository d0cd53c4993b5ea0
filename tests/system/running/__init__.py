"""Running it for real: what its processes log, how they are started and stopped, and what an operator may do to it."""
