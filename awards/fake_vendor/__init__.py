"""A vendor of gifts to practise on: a real HTTP server with a book of its own, which fails as it is told to."""
