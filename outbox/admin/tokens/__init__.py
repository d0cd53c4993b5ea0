"""The API tokens at the desk."""
