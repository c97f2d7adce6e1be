"""What an attacker learns from updates: their inversion, membership in a tape, sums told apart over many rounds."""
