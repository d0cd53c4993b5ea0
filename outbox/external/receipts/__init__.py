"""Receipts: a receiver's word that it has consumed a message, or that it cannot; signed, read, and sent."""
