"""Retention: rows of orders that ended long ago leave the tables, segment by segment.

- A record of the retention timer, `RetentionStarted`, starts it for one partition of checkout.
- From then on each order belongs to the segment in which it was placed: so many offsets of the checkout inbox.
- Segments close one after the other, when all of their orders ended long enough ago (`SegmentsClosed`).
- Checkout then replaces the row of each order by a small row, `ClosedOrder`, which still knows a repeated order.
- It sends `OrdersEvicted` to the other services, which remove their rows of these orders.
- What the evicted orders moved stays in one total for each balance, so money and stock still add up.
- One number remains in each journal, the low watermark: every order in a segment below it is evicted.
- Whatever still comes for an order below the low watermark is ignored, and a row of it is dropped at a restore.
- Much later the small rows are removed too (`SegmentsPurged`), and the ids of these orders are free again.
- Every decision takes time and offsets from records alone, so a replay decides the same.

`docs/explanation/retention.md` tells it with the records in their sequence.
"""
