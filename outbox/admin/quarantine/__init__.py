"""What could not be taken in, at the desk, and how the sources stand."""
