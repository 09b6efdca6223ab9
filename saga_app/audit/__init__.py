"""The audit: what the topics say must be true, checked from their beginning by whoever doubts it."""
