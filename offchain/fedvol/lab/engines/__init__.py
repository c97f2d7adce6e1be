"""Engines for more participants than one process trains in turn; `fedvol.lab.engine` says what they are."""
