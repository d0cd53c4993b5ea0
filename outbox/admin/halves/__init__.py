"""The half messages at the desk."""
