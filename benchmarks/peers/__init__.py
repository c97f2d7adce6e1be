"""FedVol beside its peers, on the same arrays: `make peers` measures all of it. See README.md one folder up."""
