"""A handler is a stranger: what one message's handler does to its process costs twenty neighbours nothing."""
