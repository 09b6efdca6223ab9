"""The outbox relay: takes records out of a table of the shop's database, and sends them to their inboxes.

The shop writes its order and the record in one transaction, so that neither is there without the other.
"""
