"""Webhooks out: a process of its own posts each outcome to the endpoints that want it (decision 46).

The queue of an endpoint is the topic `order_outcomes` itself, with a consumer group for each endpoint: so one endpoint
never waits for another. An outcome that an endpoint has not taken at once is written to the compacted topic
`webhook_deliveries`, and only then does the position pass it. So no process has anything that must not be lost.
"""
