"""`scripts/run`: a broker, workers and real orders on this machine, and how the orders end."""

import argparse
import itertools
import json
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import tables
from saga_app import topics
from saga_app.audit.audit import audit
from saga_app.audit.report import as_lines
from saga_app.demo import retail
from saga_app.kafka import topic_admin
from saga_app.kafka.consumer_group import ConsumerGroup
from saga_app.kafka.sender import Sender
from saga_app.local.broker import Broker
from saga_app.local.cluster import Cluster
from saga_app.local.endings import COMPLETED, EndingsReader
from saga_app.local.errors import LocalKafkaError, LocalStripeError
from saga_app.local.payments import DOWN_FOR, LocalPayments
from saga_app.local.process import until
from saga_app.local.workers import LocalApi, LocalOrderDatabase, LocalWorker, WorkerFailed
from saga_app.private_files import private_folder, write_private
from saga_app.settings import Settings, SettingsError, given_names
from saga_app.times import now
from saga_app.wire import decode

#: The default folder; its name is ours, so that its mode may be set.
RUN_FOLDER: Final = ".run"
#: With --once, seconds without an ended order after which the run gives up.
GIVE_UP_AFTER: Final = 120.0
#: The possible numbers of brokers.
BROKERS: Final = (1, 3)
#: Settings of one process, which tools and other workers must not have.
OF_ONE_WORKER: Final = (
    "SAGA_DATA_DIR",
    "SAGA_WEB_BIND",
    "SAGA_WEB_PORT",
    "SAGA_WEB_URL",
    "SAGA_API_BIND",
    "SAGA_API_PORT",
)
#: Seconds in which workers must commit their last records.
LONGEST_COMMIT: Final = 10.0


def say(text: str) -> None:
    """Prints one line at once."""
    print(text, flush=True)


class LocalRun:
    """One run: it starts a broker, workers, the order database and the API, and stops what it has started."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.folder: Path = options.folder
        self.broker: Broker | Cluster | None = None
        self.workers: list[LocalWorker] = []
        self.order_database: LocalOrderDatabase | None = None
        self.api: LocalApi | None = None
        self.payments: LocalPayments | None = None
        self.placed: set[str] = set()
        self.follower: EndingsReader | None = None

    @property
    def give_up_after(self) -> float:
        """With --once, seconds without an ended order; a provider that is down ends none."""
        return GIVE_UP_AFTER + (self.options.down if self.options.provider else 0.0)

    def start(self) -> None:
        """Starts all processes, creates the topics; returns when the workers are ready."""
        private_folder(self.folder)
        if self.folder.name == RUN_FOLDER:
            self.folder.chmod(0o700)
        if self.options.provider:
            self.payments = LocalPayments(self.folder, say, self.options.down)
            self.payments.start()
        self.settings = self._find_broker()
        if not self.options.workers:
            # Neither topics nor the copy are touched: somebody may be about to mend them.
            self._write_environment()
            return
        made = topic_admin.ensure(self.settings, tables.wanted_topics(self.settings))
        say(f"topics: {len(made)} created" if made else "topics: all there")
        self.workers = [
            LocalWorker(self.folder, number, self._environment(), say)
            for number in range(1, self.options.workers + 1)
        ]
        for worker in self.workers:
            worker.start()
        self.order_database = LocalOrderDatabase(self.folder, self._environment(), say)
        self.order_database.start()
        self.api = LocalApi(self.folder, self._environment(), say)
        self.api.start()
        self._write_environment()
        for worker in self.workers:
            worker.wait()
            say(f"worker {worker.number}: ready, {worker.url}/, log {worker.log}")
        say(f"API: {self.api.url}, documentation at {self.api.url}/docs")

    def place(self) -> None:
        """Sends the deliveries, and places the orders from a thread of its own."""
        self.follower = EndingsReader(self.settings.kafka, self.settings.partitions)
        edition = _edition(self.folder, is_foreign=self.broker is None)
        if self.payments is not None:
            if self.options.capture:
                self.payments.capture_later(self.settings)
            self.placed = self.payments.place(
                self.settings, self.workers[0].url, self.options.orders, edition
            )
            return
        orders, deliveries = _goods(self.options.orders, edition)
        self.placed = {order["order_id"] for order in orders}
        sender = Sender(self.settings)
        say(
            f"stock: {sum(len(each['lines']) for each in deliveries)} articles delivered; placing {len(orders)} orders"
        )
        sender.send_all(_records(deliveries))
        threading.Thread(
            target=sender.send_all, args=(_records(orders),), name="placing", daemon=True
        ).start()

    def wait(self) -> None:
        """With --workers 0: keeps the broker running until Ctrl-C."""
        say(f"no workers; to use the tools: . {self.folder}/env")
        say("running until Ctrl-C")
        while True:
            signal.pause()

    def watch(self) -> bool:
        """Prints endings as they come, until Ctrl-C, or with --once until all orders have ended.

        True if the audit holds.
        """
        assert self.follower is not None
        last = time.monotonic()
        summed_up = False
        while True:
            for ending in self.follower.poll(0.2):
                last = time.monotonic()
                say(f"  {ending.order_id:<14} {ending.outcome}")
            for worker in self.workers:
                worker.restart_if_dead()
            for process in (self.order_database, self.api):
                if process is not None:
                    process.restart_if_dead()
            if not summed_up and self.placed <= self.follower.ended.keys():
                holds = self.sum_up()
                summed_up = True
                if self.options.once:
                    return holds
                say(f"pages at {self.workers[0].url}/; to use the tools: . {self.folder}/env")
                say("pages that do not need a worker: saga pages --port 6060")
                say(f"running until Ctrl-C; try: kill -9 $(cat {self.workers[0].pid_file})")
            if self.options.once and all(worker.is_left for worker in self.workers):
                say(f"no worker runs; see the logs in {self.folder}")
                self.sum_up()
                return False
            if self.options.once and time.monotonic() - last > self.give_up_after:
                say(f"no order has ended for {self.give_up_after:.0f} s; see the logs in {self.folder}")
                self.sum_up()
                return False

    def sum_up(self) -> bool:
        """Prints the outcomes and the audit; the last line is for machines too. True if the audit holds."""
        assert self.follower is not None
        if self.payments is not None and self.placed <= self.follower.ended.keys():
            self.payments.tell_outage()
        counts = self.follower.counts()
        for outcome, count in counts.most_common():
            say(f"{count:>8} {outcome}")
        holds = self._audit()
        own = {order: outcome for order, outcome in self.follower.ended.items() if order in self.placed}
        completed = sum(outcome == COMPLETED for outcome in own.values())
        say(
            f"orders {len(self.placed)} completed {completed} cancelled {len(own) - completed} "
            f"open {len(self.placed) - len(own)} dead-lettered {self.follower.dead_lettered()}"
        )
        return holds

    def _audit(self) -> bool:
        """Audits the topics, when the workers have committed everything."""
        group = ConsumerGroup(self.settings)
        until(lambda: not any(map(group.lag, topics.INBOXES)), LONGEST_COMMIT)
        findings = audit(self.settings)
        for line in as_lines(findings):
            say(line)
        agrees = self.payments is None or self.payments.agrees(self.settings)
        return findings.holds and agrees

    def stop(self) -> None:
        """Stops the API, the order database and the workers first, the broker last."""
        if self.follower is not None:
            self.follower.close()
        others = [each for each in (self.api, self.order_database) if each is not None]
        processes = [*others, *self.workers]
        for process in processes:
            process.terminate()
        for process in processes:
            process.stop()
        if self.payments is not None:
            self.payments.stop()
        if self.broker is not None:
            self.broker.stop()

    def _find_broker(self) -> Settings:
        own = {count: _kafka(self.folder, count) for count in BROKERS}
        given = os.environ.get("SAGA_BROKER")
        # SAGA_BROKER from a sourced .run/env is our own broker, which may not run.
        if given and not any(each.has_address(given) for each in own.values()):
            say(f"broker: {given} (from SAGA_BROKER)")
            return Settings.read()
        count = self.options.brokers
        self.broker = own[count]
        say("broker: starting Apache Kafka ..." if count == 1 else f"brokers: starting {count} ...")
        began = time.monotonic()
        self.broker.start().wait()
        say(f"broker: {self.broker.address}, ready after {time.monotonic() - began:.1f} s")
        of_broker = {"SAGA_BROKER": self.broker.address, "SAGA_REPLICATION": str(count)}
        return Settings.read({**os.environ, **of_broker})

    def _environment(self) -> dict[str, str]:
        """The settings of broker and database, for workers and tools."""
        return {
            "SAGA_BROKER": self.settings.broker,
            "SAGA_REPLICATION": str(self.settings.replication),
            "SAGA_DB_URL": self._database(),
            **({} if self.payments is None else self.payments.environment),
        }

    def _database(self) -> str:
        """Each number of brokers has a database of its own, since it has topics of its own."""
        given, ours = os.environ.get("SAGA_DB_URL", ""), f"sqlite:///{self.folder.resolve()}/orders"
        # SAGA_DB_URL from a sourced .run/env is our own database.
        if given and not given.startswith(ours):
            return given
        return f"{ours}-{self.options.brokers}.db" if isinstance(self.broker, Cluster) else f"{ours}.db"

    def _write_environment(self) -> None:
        lines = {**_given(), **self._environment()}
        if self.workers:
            lines["SAGA_WEB"] = self.workers[0].url
            lines["SAGA_WEB_PORT"] = str(self.workers[0].port)
        if self.api is not None:
            lines["SAGA_API"] = self.api.url
        text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in lines.items())
        write_private(self.folder / "env", text)


def _given() -> dict[str, str]:
    """The settings that this run was given, and that tools need as its workers do. Secrets are left out."""
    names = given_names(secrets=False)
    return {
        name: os.environ[name]
        for name in names
        if os.environ.get(name, "").strip() and name not in OF_ONE_WORKER
    }


def _kafka(folder: Path, brokers: int) -> Broker | Cluster:
    """Each number of brokers has a folder of its own: the data of one does not fit the other."""
    if brokers == 1:
        return Broker(folder / "kafka", say=say)
    return Cluster(folder / f"kafka-{brokers}", brokers, say=say)


def _edition(folder: Path, *, is_foreign: bool) -> str:
    """The suffix for the ids of this run: a second run places other orders, from another warehouse."""
    counter = folder / "runs"
    number = int(counter.read_text()) + 1 if counter.exists() else 1
    counter.write_text(f"{number}\n")
    if is_foreign:
        return f"-{now() // 1000}"
    return "" if number == 1 else f"-{number}"


def _goods(count: int, edition: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Orders, and deliveries with which all four kinds of ending occur."""
    orders = list(retail.orders(count))
    deliveries = retail.deliveries(orders)
    for each in itertools.chain(orders, deliveries):
        each["warehouse"] = f"main{edition}"
    for order in orders:
        order["order_id"] += edition
    return orders, deliveries


def _records(payloads: list[dict[str, Any]]) -> Iterator[Any]:
    return (decode(json.dumps(payload).encode()) for payload in payloads)


def parser() -> argparse.ArgumentParser:
    """The options."""
    found = argparse.ArgumentParser(prog="scripts/run", description=__doc__)
    found.add_argument("--once", action="store_true", help="stop when all orders have ended")
    found.add_argument(
        "--orders", type=int, default=60, metavar="N", help="how many real orders (default: 60)"
    )
    found.add_argument(
        "--folder",
        type=Path,
        default=Path(RUN_FOLDER),
        metavar="DIR",
        help="the folder of all files (default: .run)",
    )
    found.add_argument(
        "--brokers",
        type=int,
        default=1,
        choices=BROKERS,
        help="how many brokers, if none is given: with 3, one may be lost at any time (default: 1)",
    )
    found.add_argument(
        "--provider",
        choices=("stripe",),
        help="orders that are paid at a provider: a Stripe on this machine, which is down for some seconds",
    )
    found.add_argument(
        "--capture",
        action="store_true",
        help="with --provider: the money is authorised, and taken when the order is shipped",
    )
    found.add_argument(
        "--down",
        type=float,
        default=DOWN_FOR,
        metavar="SECONDS",
        help=f"with --provider: for how long it is down (default: {DOWN_FOR:g})",
    )
    found.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="how many workers; 0: only the broker, for commands that want no worker (default: 1)",
    )
    return found


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0 if every order has ended and the audit holds; 1 if not, or if a process did not start."""
    options = parser().parse_args(arguments)
    if options.once and not options.workers:
        parser().error("--once needs a worker")
    if options.provider and not options.workers:
        parser().error("--provider needs a worker")
    if options.capture and not options.provider:
        parser().error("--capture needs --provider")
    run = LocalRun(options)
    # SIGTERM acts as Ctrl-C; and so does SIGINT if a shell has started this in the background, with SIGINT ignored.
    for received in (signal.SIGINT, signal.SIGTERM):
        signal.signal(received, signal.default_int_handler)
    try:
        run.start()
        if not options.workers:
            run.wait()
        run.place()
        return 0 if run.watch() else 1
    except (
        LocalKafkaError,
        LocalStripeError,
        WorkerFailed,
        SettingsError,
        topic_admin.TopicsWrong,
        topic_admin.BrokerUnreachable,
    ) as error:
        print(f"scripts/run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("stopping ...")
        return 0
    finally:
        run.stop()


if __name__ == "__main__":
    sys.exit(main())
