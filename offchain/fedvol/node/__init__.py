"""The daemon of one participant: journal, trainer, proposer, and the loop that acts on the chain."""
