"""What tests and benchmarks share: processes, databases and brokers of our own, rows, threads, a browser. No tests."""
