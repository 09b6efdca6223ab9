"""The agents: one per service, each the only consumer of its topic.

Each one takes all batches that wait, decides them as one micro-batch, and forwards it: the rows are written to their
changelog, what follows from them is published, both are applied to disk, and the records are acknowledged.
"""

from agents import checkout, inventory, payment, shipping
from agents.agent import Agent
from agents.own import OwnAgent
from saga_app.core.own_steps import OWN

ALL: tuple[Agent, ...] = (checkout, payment, inventory, shipping, *map(OwnAgent, OWN))
