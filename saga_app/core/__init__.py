"""The rules of the checkout: pure functions of records and rows; no clock, no chance, no await, no Kafka."""
