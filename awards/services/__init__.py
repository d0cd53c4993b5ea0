"""What can be done: draw, take an award back, manage campaigns, and count."""
