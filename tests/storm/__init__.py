"""A random storm of faults over real processes, judged by the oracle: ``make storm``."""
