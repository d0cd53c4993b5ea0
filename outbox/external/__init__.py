"""The world outside: what comes from other systems, and what goes to them."""
