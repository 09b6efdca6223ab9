"""`scripts/chaos`: faults against a real Kafka under load, and the proof that nothing was lost, doubled or half done.

`plan` draws the faults from a seed, `faults` inflict them, `load` sends orders, `watch` sees how they end, `supervisor`
starts workers again as a supervisor does, `run` puts them together, `proof` audits, `report` tells.
"""
