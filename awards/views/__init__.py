"""The doors to the awards: JSON for programs, pages for people."""
