"""The books on the desk."""
