"""The business: raffles, the prizes won in them, and the ways in which an award is issued."""
