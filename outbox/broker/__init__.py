"""The way to the workers: queues, a confirmed connection, and the thread that sends hints after commit."""
