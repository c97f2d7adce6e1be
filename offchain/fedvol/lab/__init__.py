"""Combining rules for research, on floats. Nothing on chain uses them; the protocol's is `protocol/rule.py`."""
