"""Trade tapes in, tidy rows out; Black-76, implied vol, synthetic markets."""
