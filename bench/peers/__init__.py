"""The programs that are compared. None of them imports ours: each runs in an environment without it."""
