"""The rules of the checkout saga: steps and their compensations, as pure functions of records and rows.

No clock, no chance, no await, no Kafka.
"""
