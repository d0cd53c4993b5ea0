"""What is measured, what is found wrong, and who is told."""
