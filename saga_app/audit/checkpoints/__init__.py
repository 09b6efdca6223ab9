"""Checkpoints: the state of one audit at its end, so that the next one goes on from there."""
