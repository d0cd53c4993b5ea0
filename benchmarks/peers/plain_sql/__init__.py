"""The upper bound: what the same statements do without any engine around them."""
