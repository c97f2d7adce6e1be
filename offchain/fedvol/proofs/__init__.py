"""Zero-knowledge proofs about an update: the reference string, the prover, and what is proven."""
