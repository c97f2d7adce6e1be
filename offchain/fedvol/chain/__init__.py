"""Typed contract calls, deployment records, the transaction outbox."""
