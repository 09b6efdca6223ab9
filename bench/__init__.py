"""`scripts/bench`: the same saga on the same broker by everything that a user might take instead, in turns.

`peers/` has the programs that are compared, each for an environment of its own; `environments` makes these.
`candidates` says what each guarantees. `trial` is one life of one candidate, `measures` and `watch` are what is looked
at, `verdict` says whether the orders ended as they must, `results` draws medians and ratios from all trials, and `page`
and `chart` show them. `growth` looks at ours alone, with more and more orders in its tables.
`closed_loop` is a second table, of `callers` who wait for each order's end: ours and `engines` that journal on a
server of their own. The bench stands among the
tests because it feeds, follows and judges the system with what they have in `live/`.
"""
