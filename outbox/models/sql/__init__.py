"""The statements that the ORM cannot write, compiled once."""
