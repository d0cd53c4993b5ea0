"""The audit at the desk: all of it in pages, what it is narrowed down to, and as a file."""
