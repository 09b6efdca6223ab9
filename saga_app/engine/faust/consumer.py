"""The consumer: Faust and aiokafka keep the group membership and the commits; the records come from our reader.

Answers these faults of stock Faust (`docs/reference/faust.md`):

- commits past a record that is not done (`docs/reference/faust.md#a3`, faust#606, faust#707),
- acknowledged offsets are forgotten at a rebalance (`docs/reference/faust.md#a12`),
- a gap in the acknowledged offsets stops commits for ever (`docs/reference/faust.md#a14`),
- records that are fetched while tables are restored are skipped (`docs/reference/faust.md#a23`).
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, SyncGroupRequest
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from saga_app.core.numbers import Generation, Offset
from saga_app.engine.exits import ends_process
from saga_app.engine.faust.leader import keep_to, know_topics_first
from saga_app.engine.faust.starting import connecting
from saga_app.engine.lease import uptime
from saga_app.kafka.messages import Place

if TYPE_CHECKING:
    from saga_app.engine.faust.app import SagaApp


class RebalanceListener(driver.ConsumerRebalanceListener):  # type: ignore[misc]
    """Pauses every partition inside aiokafka: it would fetch records that nobody takes."""

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        consumer = self._thread._ensure_consumer()
        consumer.pause(*assigned)
        await super().on_partitions_assigned(assigned)


class SagaConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """The thread with the group's heartbeats; each good one renews the lease."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: The notes of the offsets that are committed next.
        self.notes: Mapping[TP, str] = {}

    @ends_process
    async def on_start(self) -> None:
        with connecting(self.app):
            await super().on_start()
        if not self.app.client_only:
            self._follow_heartbeats()
            coordinator, mine = self._ensure_consumer()._coordinator, self.app.settings
            know_topics_first(coordinator, mine.timeouts.delivery)
            keep_to(coordinator, mine.partitions)

    def _create_worker_consumer(self, transport: Any) -> Any:
        """Faust's, but it asks another broker soon when one is silent: stock Faust waits 70 s for a frozen one."""
        consumer = super()._create_worker_consumer(transport)
        client, longest = consumer._client, consumer._client._request_timeout_ms / 1000
        answer = self.app.settings.timeouts.answer
        client._request_timeout_ms = int(answer * 1000)
        send = client.send

        async def send_with_patience(node: int, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
            """These two are answered when the rebalance is over."""
            if not isinstance(request, JoinGroupRequest | SyncGroupRequest):
                return await send(node, request, group=group)
            await client.ready(node, group=group)
            connection = client._conns.get((node, group))
            if connection is None:
                return await send(node, request, group=group)
            connection._request_timeout = longest
            try:
                return await send(node, request, group=group)
            finally:
                connection._request_timeout = answer

        client.send = send_with_patience
        return consumer

    def _follow_heartbeats(self) -> None:
        consumer = self._ensure_consumer()
        coordinator = consumer._coordinator
        lease = self.app.engine.lease
        lease.follow(lambda: Generation(coordinator.generation))
        send = coordinator._send_req

        async def send_and_renew(request: Any) -> Any:
            """Only an answer without error renews: `_do_heartbeat` returns True on RebalanceInProgress too."""
            asked_at, generation = uptime(), Generation(coordinator.generation)
            response = await send(request)
            if isinstance(request, HeartbeatRequest) and response.error_code == 0:
                if not lease.renew(generation, asked_at):
                    coordinator.request_rejoin()
                # aiokafka leaves the group for good when nobody polls it (aiokafka#1187); our reader does the polling.
                with consumer._subscription.fetch_context():
                    pass
            return response

        coordinator._send_req = send_and_renew

    async def committed(self, places: Iterable[TP]) -> dict[TP, int | None]:
        """The group's committed offsets."""
        return await self.call_thread(self._committed, places)  # type: ignore[no-any-return]

    async def _committed(self, places: Iterable[TP]) -> dict[TP, int | None]:
        consumer = self._ensure_consumer()
        return {place: await consumer.committed(place) for place in places}

    async def noted(self, places: Iterable[TP]) -> dict[TP, tuple[int, str]]:
        """The group's committed offsets and their notes; places without one are left out."""
        return await self.call_thread(self._noted, list(places))  # type: ignore[no-any-return]

    async def _noted(self, places: list[TP]) -> dict[TP, tuple[int, str]]:
        asked = [TopicPartition(*place) for place in places]
        found = await self._ensure_consumer()._coordinator.fetch_committed_offsets(asked)
        return {TP(*place): (each.offset, each.metadata) for place, each in found.items()}

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """A commit that fails is tried again with the next one; stock Faust stops the worker for a broker's restart."""
        assigned = self.assignment()
        wanted = {
            TopicPartition(*place): OffsetAndMetadata(at, self.notes.get(place, ""))
            for place, at in offsets.items()
            if place in assigned
        }
        try:
            await self._ensure_consumer().commit(wanted)
        except KafkaError as error:
            self.log.warning("offsets were not committed and are tried again: %r", error)
            return False
        return True


class SagaConsumer(driver.Consumer):  # type: ignore[misc]
    """Commits exactly what is durable. No record comes through it: see `streams`."""

    RebalanceListener = RebalanceListener
    app: "SagaApp"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._last_committed: dict[TP, int] = {}
        self._last_noted: dict[TP, str] = {}
        #: Not between giving up partitions and the next assignment: aiokafka answers the refusal of a commit that was
        #: sent while it joins by forgetting its membership, and an old offset could go back behind a new owner's.
        self._may_commit = True

    def _new_consumer_thread(self) -> SagaConsumerThread:
        return SagaConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def on_start(self) -> None:
        await super().on_start()
        if not self.app.client_only:
            self.app.engine.commits.send = self._commit_notes
            self.app.engine.start()

    @ends_process
    async def on_stop(self) -> None:
        await super().on_stop()
        if not self.app.client_only:
            await self.app.engine.stop()

    async def create_topic(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: topics are made with their own settings before the worker subscribes (see `topic_admin`)."""

    async def committed(self, places: Iterable[TP]) -> dict[TP, int | None]:
        """The group's committed offsets."""
        return await self._thread.committed(places)  # type: ignore[no-any-return]

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commits what is durable and not yet committed; what is refused is tried again later (faust#316)."""
        if not self._may_commit:
            return False
        assignment, engine = self.assignment(), self.app.engine
        pending, notes = {}, {}
        for place, at in ((TP(*place), at) for place, at in engine.durable.items()):
            note = engine.commits.note((place.topic, place.partition))
            known = self._last_committed.get(place), self._last_noted.get(place, "")
            if place in assignment and known != (at, note):
                pending[place], notes[place] = at, note
        self._thread.notes = notes
        if not pending or not await self._commit(pending):
            return False
        self._last_committed.update(pending)
        self._last_noted.update(notes)
        return True

    async def _commit_notes(self, commits: Mapping[Place, tuple[Offset, str]]) -> bool:
        """Before reading begins: nothing else commits then."""
        self._thread.notes = {TP(*place): note for place, (_, note) in commits.items()}
        return bool(await self._commit({TP(*place): at for place, (at, _) in commits.items()}))

    async def learn(self) -> None:
        """The engine hears what the group has committed for the partitions that it gave us."""
        engine = self.app.engine
        found = await self._thread.noted(
            place for place in self.assignment() if place.topic in engine.buffers
        )
        engine.commits.learn(
            {(each.topic, each.partition): (Offset(at), note) for each, (at, note) in found.items()}
        )

    async def verify_all_partitions_active(self) -> None:
        """Nothing: Faust would report every partition as stuck, as aiokafka fetches none; see `watchdog`."""

    @ends_process
    async def wait_empty(self) -> None:
        """Before partitions are given up: the rounds that run end, then what is durable is committed."""
        if self.app.client_only:
            return
        self.app.engine.suspend()
        await self.app.engine.drained()
        # `commit` does nothing but wait where another commit is on its way, and that one may be older.
        await self.maybe_wait_for_commit_to_finish()
        await self.commit()
        self._may_commit = False
        self._last_committed.clear()
        self._last_noted.clear()

    async def perform_seek(self) -> None:
        """Starts reading where the group, or the store, says; not if another rebalance came since the restore."""
        engine = self.app.engine
        if (generation := engine.assignment.preparing) is None:
            return
        own = [place for place in self.assignment() if place.topic in engine.buffers]
        committed = await self.committed(own)
        self._last_committed = {place: at for place, at in committed.items() if at is not None}
        await engine.begin(_as_places(committed), generation)
        self._may_commit = engine.assignment.held is not None


def _as_places(committed: Mapping[TP, int | None]) -> dict[tuple[str, int], Offset | None]:
    return {
        (place.topic, place.partition): None if at is None else Offset(at) for place, at in committed.items()
    }


class SagaProducer(driver.Producer):  # type: ignore[misc]
    """Faust's; a worker starts it and sends nothing with it."""

    app: "SagaApp"

    @ends_process
    async def on_start(self) -> None:
        with connecting(self.app):
            await super().on_start()


class SagaTransport(driver.Transport):  # type: ignore[misc]
    """aiokafka, with our consumer."""

    Consumer = SagaConsumer
    Producer = SagaProducer
