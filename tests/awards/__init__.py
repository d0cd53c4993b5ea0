"""The awards, from a draw to an issued award."""
