"""The commands of `saga`, by group, with the first line of their help: `saga --help` imports none of them."""

from typing import Final, NamedTuple


class Entry(NamedTuple):
    """A command: its name, the first line of its help, and where it is if that is not the module of its name."""

    name: str
    help: str
    place: str = ""

    @property
    def module(self) -> str:
        """The module that has the command, below `saga_app.commands`."""
        return (self.place or self.name).partition(":")[0].replace("-", "_")

    @property
    def attribute(self) -> str:
        """The command's name in that module."""
        return (self.place.partition(":")[2] or self.name).replace("-", "_")


GROUPS: Final = {
    "Orders": (
        Entry("place", "Place one order, or many from a file or from standard input."),
        Entry(
            "cancel",
            "Cancel ORDER, if it is not too late: it ends cancelled, or completed if its shipment was booked.",
            "place:cancel",
        ),
        Entry(
            "try", "Tell what would become of orders now, by the real rules, and send nothing.", "try_:try"
        ),
        Entry("order", "Tell where ORDER is and why, what happens next, and what has happened."),
        Entry("orders", "List the orders, newest first, with what each step has done."),
        Entry(
            "history",
            "Tell what happened to an order, record by record, and what its rows were afterwards.",
        ),
        Entry(
            "watch",
            "Watch the orders until Ctrl-C: how many there are of each state, which are open or late, the newest.",
        ),
    ),
    "Money, stock and rules": (
        Entry(
            "accounts",
            "List the accounts; of one CUSTOMER, tell which orders were paid from it, newest first.",
            "stock:accounts",
        ),
        Entry(
            "deposit",
            "Put AMOUNT into CUSTOMER's account; the first deposit opens it, in its currency.",
            "supply:deposit",
        ),
        Entry(
            "stock", "List the stock of each article; of one SKU, tell which orders have it, newest first."
        ),
        Entry("receive", "Receive stock into a warehouse; all lines are one delivery.", "supply:receive"),
        Entry(
            "policy",
            "Change the parameters of a rule, for all orders that are decided from now on; alone, show what is in "
            "force.",
        ),
    ),
    "Dead letters": (
        Entry(
            "dead-letters",
            "List the records that could not be applied and are not settled; with an ID, show that one whole.",
        ),
        Entry("replay", "Send dead letters again: those with these IDs, or all that the filters choose."),
    ),
    "Proof and repair": (
        Entry("audit", "Check the topics from their beginning: is anything lost, doubled or half done?"),
        Entry("repair", "Propose what mends the breaches that an audit finds; it changes nothing."),
        Entry(
            "rebuild",
            "Make the changelogs, and with them all tables, anew from the inboxes; stop all workers before.",
        ),
        Entry(
            "advance",
            "Go on behind the records that an inbox has lost: its end, or all of them; stop all workers before.",
        ),
    ),
    "Running it": (
        Entry(
            "doctor",
            "Look at everything that a worker needs, and at the workers; exit code 1 if something is wrong.",
        ),
        Entry("topics", "List the topics, and what is missing or different."),
        Entry("settings", "Print every setting: its value, where it comes from, and what it is."),
        Entry("orderdb", "Keep the order database up to date: a copy in SQL of what the topics hold."),
        Entry("pages", "Serve the pages without being a worker, until Ctrl-C or SIGTERM."),
        Entry(
            "shell-completion",
            "Print a script with which SHELL completes commands and options by the Tab key.",
        ),
    ),
}
ENTRIES: Final = {entry.name: entry for group in GROUPS.values() for entry in group}
