"""What runs the project from the command line."""
