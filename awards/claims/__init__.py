"""What winners do about their gifts: claim them in time, or let them expire; and how a person is forgotten."""
