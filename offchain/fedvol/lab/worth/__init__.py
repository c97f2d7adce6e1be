"""What participants gain from a federation, and what they are worth to it."""
