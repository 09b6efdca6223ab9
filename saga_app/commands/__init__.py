"""What `saga ...` offers; the same commands are there as `faust -A saga_app ...`."""

import click

from saga_app import __version__
from saga_app.commands import doctor, place, policy, settings, supply, topics


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="saga")
def main() -> None:
    """A checkout saga on Apache Kafka: place orders, cancel them, bring money and stock, and look after it.

    \b
    saga receive MUG:100                             stock into the warehouse
    saga place --order-id 1 --line MUG:2:12.50       an order
    saga doctor                                      is everything well?

    The broker and everything else are set by SAGA_... variables: see `saga settings`.
    """


for command in (
    place.place,
    place.cancel,
    supply.deposit,
    supply.receive,
    policy.policy,
    topics.topics,
    settings.settings,
    doctor.doctor,
):
    main.add_command(command)
