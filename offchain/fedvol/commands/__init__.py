"""One module for each group of `fedvol` commands."""
