"""What the long runs work with: consumers of their own, and the real processes around a database of their own."""
