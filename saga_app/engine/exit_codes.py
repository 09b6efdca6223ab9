"""The exit codes of a process, each with its cause and its remedy: `docs/reference/exit-codes.md` is made of them."""

from collections.abc import Iterable
from enum import IntEnum
from typing import Final, Self


class ExitCode(IntEnum):
    """An exit code with one sentence of cause, and one or two of remedy, for a reader at three in the morning."""

    cause: str
    remedy: str

    def __new__(cls, value: int, cause: str = "", remedy: str = "") -> Self:
        member = int.__new__(cls, value)
        member._value_ = value
        member.cause, member.remedy = cause, remedy
        return member


class Exit(ExitCode):
    """A worker ended by itself; a supervisor restarts it after any of them."""

    TOPICS_WRONG = (
        64,
        "A topic is missing and cannot be made, has another number of partitions, or can lose records.",
        "Run `saga topics --check`: it names each topic, its fault and the remedy. "
        "Never change `SAGA_PARTITIONS` once there are records.",
    )
    BROKER_UNREACHABLE = (
        65,
        "No broker of `SAGA_BROKER` answered at the start.",
        "Bring a broker back, or correct `SAGA_BROKER` or `SAGA_SECURITY`. Then the next start succeeds.",
    )
    WEB_PORT_TAKEN = (
        66,
        "The web server cannot listen on `SAGA_WEB_BIND` and `SAGA_WEB_PORT`; most often another worker does.",
        "Stop the other program, or give each worker of a machine its own `SAGA_WEB_PORT` and `SAGA_DATA_DIR`.",
    )
    ROUND_FAILED = (
        70,
        "An error interrupted a round: of the broker, or of our own code.",
        "The next start reads the same records again. If it ends so again, run `saga doctor`; if that finds nothing, "
        "go back to the release before and report the line.",
    )
    LEASE_LOST = (
        71,
        "The group gave this worker's partitions to another one, because the worker was paused or cut off.",
        "Do nothing: the next start joins again. If it comes often, look for an overloaded machine or a bad network.",
    )
    ROWS_MISSING = (
        72,
        "The state store lacks a row that it must have.",
        "Do nothing: the next start rebuilds the store from the changelogs, and takes longer than usual.",
    )
    ROWS_MISSING_AGAIN = (
        73,
        "The same row is missing although the store was rebuilt, so its changelog lacks it too.",
        "Stop all workers, delete nothing, and run `saga rebuild --from-inboxes --dry-run`, which tells what is lost. "
        "Go on by docs/how-to/recover.md.",
    )
    RESTORE_FAILED = (
        74,
        "The changelogs could not be read, or the group took no commit meanwhile.",
        "The next start restores again. If it ends so again, run `saga doctor` and look at the brokers.",
    )
    STUCK = (
        75,
        "The watchdog saw no progress for too long; the line says of what.",
        "Heartbeat or rebalance: look at the brokers. No partitions: stop workers beyond `SAGA_PARTITIONS`. Main loop "
        "or waiting records: look for an overloaded machine or a slow disk.",
    )
    STOP_TOO_SLOW = (
        76,
        "The worker was asked to stop and was not ready within 25 s.",
        "Do nothing. If it comes at each stop, look at the brokers and the disk: a stop waits for both.",
    )
    REVOKE_TOO_SLOW = (
        77,
        "A round did not end in time when the worker had to hand over its partitions.",
        "Do nothing: their next owner decides the records. If it comes often, look for slow brokers or a slow disk.",
    )
    STORE_DAMAGED = (
        78,
        "A database of the state store cannot be read.",
        "Do nothing: the next start moves it aside and restores it. If it comes again, move `SAGA_DATA_DIR` to "
        "another disk.",
    )
    DISK_FAILED = (
        79,
        "The disk is full, read-only or gone, or another worker uses the same folder.",
        "The line says which: make room, make it writable, or give the worker its own `SAGA_DATA_DIR`.",
    )
    RECORDS_CUT = (
        80,
        "Kafka deleted records that no worker had decided.",
        "Stop all workers and follow docs/how-to/keep-topics-small.md.",
    )
    BROKER_REFUSED = (
        81,
        "A broker refuses this worker: its password, its certificate or its rights.",
        "The line names the setting or the ACL: correct it by docs/how-to/secure-kafka.md.",
    )
    LATE_WRITES = (
        82,
        "A worker that had lost its partitions still wrote rows to their changelogs.",
        "Do nothing: the next start restores again and repairs them. If it comes often, look for machines that pause.",
    )
    ROWS_LOST = (
        83,
        "Kafka lost rows of a changelog, and the disk of this worker does not hold them; or a command that changes the "
        "topics is not finished.",
        "If the line names a command, run that one. If another worker's `SAGA_DATA_DIR` holds the partition, start it "
        "alone. Else stop all workers and run `saga rebuild --from-inboxes` (docs/how-to/recover.md).",
    )
    INBOX_REPLACED = (
        84,
        "An inbox was deleted and made again.",
        "Stop all workers, then follow docs/how-to/recover.md: `saga advance` goes on behind the old offsets.",
    )
    CHANGELOG_CUT = (
        85,
        "A changelog lost rows while this worker ran.",
        "Keep its `SAGA_DATA_DIR`: the next start writes the rows of its disk again, or ends with 83.",
    )
    INBOX_CUT = (
        86,
        "An inbox lost records that were decided, and new ones may have their offsets.",
        "Stop all workers, then follow docs/how-to/recover.md: `saga advance` goes on behind the old offsets.",
    )
    FOREIGN_ROW = (
        87,
        "A changelog or the state store holds a row that no worker wrote.",
        "Stop all workers and run `saga rebuild --from-inboxes` (docs/how-to/recover.md); then find out who may write "
        "to the changelogs: docs/how-to/secure-kafka.md.",
    )


class OtherExit(ExitCode):
    """A worker ended in a way that has no code of its own."""

    STOPPED = (0, "The worker was asked to stop, and finished its rounds.", "Do nothing.")
    NOT_STARTED = (
        1,
        "A setting is wrong, or Python or Faust failed.",
        "Run `saga settings` with the same environment: it names a wrong setting. Otherwise read the end of the log.",
    )
    KILLED = (
        137,
        "Somebody, or the kernel when memory ran out, sent SIGKILL.",
        "Do nothing: no record is lost. If it comes again, read `journalctl -k` (`kubectl describe pod`) and give the "
        "worker more memory.",
    )
    TERMINATED = (
        143,
        "The worker was asked to stop before it listened to signals.",
        "Do nothing.",
    )


#: A start after one of these ends so again, until a person has done what the remedy says.
NEEDS_A_PERSON: Final = (
    Exit.TOPICS_WRONG,
    Exit.ROWS_MISSING_AGAIN,
    Exit.RECORDS_CUT,
    Exit.ROWS_LOST,
    Exit.INBOX_REPLACED,
    Exit.INBOX_CUT,
    Exit.FOREIGN_ROW,
)

#: The kinds of exit codes of a worker.
OF_WORKERS: Final = (Exit, OtherExit)


def meaning(code: int, kinds: Iterable[type[ExitCode]]) -> ExitCode | None:
    """The exit code of one of these kinds, as a shell or `subprocess` tells it; None if it is none of them."""
    value = code if code >= 0 else 128 - code
    return next((each for kind in kinds for each in kind if each == value), None)
