"""Checkpoints: the state of an audit at its end, from which the next audit goes on."""
