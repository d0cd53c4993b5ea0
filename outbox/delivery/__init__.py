"""From a hint to a settled message: read ``chunks`` first."""
