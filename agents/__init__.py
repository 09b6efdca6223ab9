"""The agents: one per service, each the only consumer of its topic. A topic, a rule, and where the batches go."""

from agents import checkout, inventory, payment, shipping

ALL = (checkout, payment, inventory, shipping)
