"""What Makegood is measured against: each peer a tiny Django project that does the same work as its docs advise."""
