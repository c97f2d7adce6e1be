"""Bit-exact twins of contracts/libraries. Imports nothing of ours but the error types."""
