"""State stores: the rows of this worker on its disk, restored from their changelogs."""
