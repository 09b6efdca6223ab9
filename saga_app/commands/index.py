"""The commands of `saga`, by group, with the first line of their help: `saga --help` imports none of them."""

from typing import Final, NamedTuple


class CommandEntry(NamedTuple):
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
        CommandEntry("place", "Place one order, or many from a file or from standard input."),
        CommandEntry(
            "cancel",
            "Cancel ORDER, if it is not too late: it ends cancelled, or completed if its shipment was booked.",
            "place:cancel",
        ),
        CommandEntry(
            "refund", "Give back money of ORDER, which has completed, and restock its goods if you say so."
        ),
        CommandEntry(
            "try",
            "Tell what would become of orders now, by the real rules, and send nothing.",
            "trial:try_orders",
        ),
        CommandEntry("order", "Tell where ORDER is and why, what happens next, and what has happened."),
        CommandEntry("orders", "List the orders, newest first, with what each step has done."),
        CommandEntry(
            "history",
            "Tell what happened to an order, record by record, and what its rows were afterwards.",
        ),
        CommandEntry(
            "watch",
            "Watch the orders until Ctrl-C: how many there are of each state, which are open or late, the newest.",
        ),
    ),
    "Orders of a shop": (
        CommandEntry(
            "import",
            "Show what the orders in FILE would be here, and place them with --place; - is standard input.",
            "importing:import_",
        ),
        CommandEntry(
            "outcomes",
            "Print how orders ended, as the topic `order_outcomes` tells it to everybody outside.",
        ),
        CommandEntry(
            "webhooks",
            "Post how orders ended to endpoints of the shop, signed, again and again until they take it.",
        ),
        CommandEntry(
            "outbox",
            "Send what the shop has written into its outbox table to the inboxes, until Ctrl-C or SIGTERM.",
        ),
    ),
    "Money, stock and rules": (
        CommandEntry(
            "accounts",
            "List the accounts; of one CUSTOMER, tell which orders were paid from it, newest first.",
            "stock:accounts",
        ),
        CommandEntry(
            "deposit",
            "Put AMOUNT into CUSTOMER's account; the first deposit opens it, in its currency.",
            "supply:deposit",
        ),
        CommandEntry(
            "withdraw", "Take AMOUNT out of CUSTOMER's account, never more than is there.", "supply:withdraw"
        ),
        CommandEntry(
            "stock", "List the stock of each article; of one SKU, tell which orders have it, newest first."
        ),
        CommandEntry(
            "receive", "Receive stock into a warehouse; all lines are one delivery.", "supply:receive"
        ),
        CommandEntry(
            "adjust",
            "Correct the stock of a warehouse by differences; all lines are one adjustment, made whole or refused.",
            "supply:adjust",
        ),
        CommandEntry(
            "policy",
            "Change the parameters of a rule, for all orders that are decided from now on; alone, show what is in "
            "force.",
        ),
    ),
    "Providers": (
        CommandEntry(
            "effects",
            "List the effects that providers are asked for, and those in conflict, the oldest first.",
        ),
        CommandEntry(
            "resolve",
            "Write down what a provider did for a STEP of ORDER, when no answer of the provider will say it.",
            "effects:resolve",
        ),
        CommandEntry(
            "reconcile", "Compare what a provider has with what the journals say; exit code 1 if they differ."
        ),
        CommandEntry(
            "provider-check",
            "Check a service that has the effects of a step: every verb repeated, out of order, at once, and killed.",
        ),
    ),
    "Dead letters": (
        CommandEntry(
            "dead-letters",
            "List the records that could not be applied and are not settled; with an ID, show that one whole.",
        ),
        CommandEntry(
            "replay", "Send dead letters again: those with these IDs, or all that the filters choose."
        ),
    ),
    "Proof and repair": (
        CommandEntry(
            "audit", "Check the topics from their beginning: is anything lost, doubled or half done?"
        ),
        CommandEntry("repair", "Propose what mends the breaches that an audit finds; it changes nothing."),
        CommandEntry(
            "rebuild",
            "Make the changelogs, and with them all tables, anew from the inboxes; stop all workers before.",
        ),
        CommandEntry(
            "advance",
            "Go on behind the records that an inbox has lost: its end, or all of them; stop all workers before.",
        ),
    ),
    "Running it": (
        CommandEntry(
            "doctor",
            "Look at everything that a worker needs, and at the workers; exit code 1 if something is wrong.",
        ),
        CommandEntry("topics", "List the topics, and what is missing or different."),
        CommandEntry("settings", "Print every setting: its value, where it comes from, and what it is."),
        CommandEntry("orderdb", "Keep the order database up to date: a copy in SQL of what the topics hold."),
        CommandEntry("api", "Take orders over HTTP, until Ctrl-C or SIGTERM."),
        CommandEntry("api-token", "Make, list and revoke the tokens of API and pages.", "api:api_token"),
        CommandEntry("pages", "Serve the pages without being a worker, until Ctrl-C or SIGTERM."),
        CommandEntry(
            "shell-completion",
            "Print a script with which SHELL completes commands and options by the Tab key.",
        ),
    ),
}
ENTRIES: Final = {entry.name: entry for group in GROUPS.values() for entry in group}
