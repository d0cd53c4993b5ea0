"""A database backend as a host may write it, on top of Django's own."""
