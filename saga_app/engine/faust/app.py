"""The Faust application with our parts in it."""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import faust
from aiohttp import web
from faust.types.transports import TransportT

from saga_app.engine.engine import Engine
from saga_app.engine.exit_codes import OtherExit
from saga_app.engine.exits import Exit, Fatal, ends_process, note_end
from saga_app.engine.faust.consumer import SagaTransport
from saga_app.engine.faust.credentials import credentials
from saga_app.engine.faust.recovery import SagaTableManager
from saga_app.engine.faust.streams import InboxStream
from saga_app.engine.faust.tables import SagaRouter, SagaTable
from saga_app.engine.faust.worker import SagaWorker
from saga_app.engine.held_back import HeldBackWatch
from saga_app.engine.malloc import share_arenas
from saga_app.engine.run_log import RunLog
from saga_app.engine.topic_watch import TopicWatch
from saga_app.engine.watchdog import Watchdog
from saga_app.kafka import topic_admin
from saga_app.kafka.messages import Place
from saga_app.kafka.open_transactions import HeldBack, held_back
from saga_app.kafka.topic_faults import remedy, told
from saga_app.private_files import is_open_to_others, private_folder
from saga_app.settings import Settings
from saga_app.topics import wanted
from saga_app.unknown_settings import unknown_settings


class SagaApp(faust.App):  # type: ignore[misc]
    """A Faust app whose promises are kept by an engine."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        keyed_by_order: frozenset[str],
        site: Callable[[web.Application, "SagaApp"], web.AppRunner] = lambda server, app: web.AppRunner(
            server
        ),
        **options: Any,
    ) -> None:
        self.settings = settings
        self.engine = engine
        #: From the first start on.
        self.watchdog: Watchdog | None = None
        self.topic_watch: TopicWatch | None = None
        self.run_log: RunLog | None = None
        self.held_back_watch = HeldBackWatch(self._held_back)
        #: Adds our own pages to the web server, before it starts; returns the runner that serves it.
        self._site = site
        #: Tables whose partition follows from their own key.
        self.keyed_by_order = keyed_by_order
        timeouts = settings.timeouts
        super().__init__(
            settings.app_id,
            broker=[f"kafka://{server.strip()}" for server in settings.broker.split(",")],
            broker_credentials=credentials(settings.security),
            datadir=str(settings.data_dir),
            store="memory://",
            processing_guarantee="at_least_once",
            topic_partitions=settings.partitions,
            topic_replication_factor=settings.replication,
            topic_allow_declare=False,
            topic_disable_leader=True,
            table_standby_replicas=0,
            stream_wait_empty=True,
            stream_recovery_delay=0.0,
            consumer_auto_offset_reset="earliest",
            broker_session_timeout=timeouts.session,
            broker_heartbeat_interval=timeouts.heartbeat,
            broker_rebalance_timeout=timeouts.rebalance,
            # A JoinGroup is answered after a rebalance, so a request may take longer than that.
            broker_request_timeout=timeouts.rebalance + 10,
            # Faust starts a producer that nothing here sends with; its start must not wait for a frozen broker.
            producer_request_timeout=timeouts.delivery,
            broker_max_poll_interval=300.0,
            broker_commit_interval=timeouts.commit,
            web_bind=settings.web_bind,
            web_port=settings.web_port,
            canonical_url=settings.canonical_url,
            # With `faust worker -p PORT`, Faust makes the address of it: its own default is the name of the machine.
            web_host=urlsplit(settings.canonical_url).hostname or "127.0.0.1",
            worker_redirect_stdouts=False,
            Stream=InboxStream,
            TableManager=SagaTableManager,
            Table=SagaTable,
            Router=SagaRouter,
            Worker=SagaWorker,
            **options,
        )

    @ends_process
    async def on_first_start(self) -> None:
        """Topics exist, with the right settings, before anything subscribes."""
        await super().on_first_start()
        if self.client_only or self.producer_only:
            return
        share_arenas()
        for words in unknown_settings(os.environ):
            self.log.warning("%s", words)
        self._note_run()
        self._check_web_port()
        if not self.settings.is_web_local:
            self.log.warning(
                "the web server listens on %s: whoever reaches it can read every order (docs/how-to/pages.md)",
                self.settings.web_bind,
            )
        mine = self.settings
        topics = wanted(
            mine.app_id,
            tuple(self.tables),
            mine.partitions,
            mine.replication,
            mine.inbox_retention,
            mine.dead_letter_retention,
        )
        try:
            created = await asyncio.to_thread(topic_admin.ensure, self.settings, topics)
            faults = await asyncio.to_thread(topic_admin.require, self.settings, topics)
        except topic_admin.TopicsWrong as error:
            raise Fatal(Exit.TOPICS_WRONG, str(error)) from error
        except topic_admin.BrokerRefuses as error:
            raise Fatal(Exit.BROKER_REFUSED, str(error)) from error
        except topic_admin.BrokerUnreachable as error:
            raise Fatal(Exit.BROKER_UNREACHABLE, str(error)) from error
        if created:
            self.log.info("created topics %s", ", ".join(created))
        if faults:
            self.log.warning("%s; %s", told(faults), remedy(faults))
        self.topic_watch = TopicWatch(
            partial(topic_admin.compare, self.settings, topics), partial(topic_admin.counts, self.settings)
        )
        self.add_future(self.topic_watch.run())
        self.add_future(self.held_back_watch.run())
        self.watchdog = Watchdog(self)
        self.watchdog.start()

    def _note_run(self) -> None:
        """Notes this run, and tells the group if runs before it ended again and again."""
        self.run_log = RunLog(self.settings.data_dir)
        self.run_log.start()
        note_end[:] = [self.run_log.end]
        ends = self.run_log.repeated()
        self.conf.broker_client_id = ends.client_id(self.settings.app_id) if ends else self.settings.app_id

    async def on_stop(self) -> None:
        """A stop in order."""
        await super().on_stop()
        if self.run_log is not None:
            self.run_log.end(OtherExit.NOT_STARTED if self.crashed else OtherExit.STOPPED)

    def _held_back(self) -> Mapping[Place, HeldBack]:
        own = [(topic, each) for topic in self.engine.buffers for each in self.engine.assignment.partitions]
        return held_back(self.settings, own)

    def _check_web_port(self) -> None:
        """Faust's web server binds its port even where the web is switched off; say so before anything is joined."""
        try:
            socket.create_server((self.conf.web_bind, self.conf.web_port)).close()
        except OSError as error:
            raise Fatal(
                Exit.WEB_PORT_TAKEN,
                f"{self.conf.web_bind}:{self.conf.web_port}: {error.strerror}; every worker on a machine needs a web "
                "port (SAGA_WEB_PORT) and a data directory (SAGA_DATA_DIR) of its own",
            ) from error

    def _create_directories(self) -> None:
        private_folder(self.conf.datadir)
        if is_open_to_others(self.conf.datadir):
            self.log.warning("every user of this machine may look into %s: chmod 700 it", self.conf.datadir)
        super()._create_directories()

    def _new_web(self) -> Any:
        server = super()._new_web()
        server._runner = self._site(server.web_app, self)
        return server

    def _new_transport(self) -> TransportT:
        return SagaTransport(self.conf.broker_consumer, self)
