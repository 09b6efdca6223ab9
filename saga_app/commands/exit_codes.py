"""The exit codes of `saga`; `docs/reference/exit-codes.md` is made of them."""

from saga_app.engine.exit_codes import ExitCode


class CommandExit(ExitCode):
    """A command ended so."""

    DONE = (0, "The command did its work.", "Do nothing.")
    FAILED = (
        1,
        "It could not do its work, for example because no broker answered; or a check found a fault.",
        "Read its last line, which says what to do; `saga doctor` looks at everything.",
    )
    WRONG_INPUT = (
        2,
        "An option, a setting or a record is wrong; a wrong record was not sent.",
        "Correct what the line names, and give the command again.",
    )
    CANCELLED = (
        3,
        "The order that `saga order --follow` or `--wait` waited for ended cancelled; the refund was refused.",
        "`saga order` shows the reason.",
    )
    NOT_ENDED = (
        4,
        "The order or refund that `saga order --follow` or `--wait` waited for has not ended within `--timeout`.",
        "`saga order` shows where it is.",
    )
    INTERRUPTED = (
        130,
        "Ctrl-C stopped the command.",
        "Give it again, for a deposit or a delivery with the same `--id`. Without one, look first at "
        "`saga accounts` or `saga stock`: the record may be there.",
    )
