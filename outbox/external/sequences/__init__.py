"""Numbers that run on: what a sender gives its messages, and by what a receiver knows that one is missing."""
