"""The whole system in memory: real rules, real rounds, real restore, clock and lease; one seed decides everything else.

`world` puts it together. `steps` are what can happen, `fault_mix` which of them a seed has, `watch` what must be true
after each of them and `ending` what must be true when the faults have stopped.
"""
