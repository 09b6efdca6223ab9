"""The rebuild: it makes the changelogs and with them all tables anew, from the inboxes and the rules alone.

The sequence is safe to be cut off anywhere, because notes beside the committed offsets keep every worker out:

    survey     the group is empty, and the inboxes have every record
    fold       each inbox partition up to its committed offset, with the pure rules
    compare    the fold with the changelogs that are there: what is lost, and what contradicts the inboxes
    keep out   the same offsets are committed again with the note "rebuilding": from now on a worker refuses to start
    write      the changelogs are deleted and made anew, with other topic ids, so that every worker's disk is stale
    release    the same offsets are committed again with notes of the new changelogs

A worker goes on at the committed offsets with exactly the rows that it had there. Records above them are decided again,
which is what happens after every crash (`docs/explanation/engine.md`, Replay).

`advance` is for inboxes that lost records: it moves them behind the offsets of their rows, with the same notes.
"""
