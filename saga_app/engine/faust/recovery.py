"""Recovery: Faust says when, the engine restores.

Answers faust#176, faust#373 (recovery waits for ever where old segments are gone), faust#596 (a gap after recovery),
`docs/reference/faust.md#c5` (rows of one table applied to another), `docs/reference/faust.md#a23` (549 of 6,000
waiting records were skipped at a start with tables to restore) and `docs/reference/faust.md#e3` (a second of sleep).
"""

from typing import TYPE_CHECKING

from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped
from faust.types import TP
from mode import Service

from saga_app.core.numbers import Generation
from saga_app.engine.exits import ends_process

if TYPE_CHECKING:
    from saga_app.engine.faust.app import SagaApp


class SagaRecovery(Recovery):  # type: ignore[misc]
    """After each rebalance: restore, then read from the committed offsets."""

    app: "SagaApp"

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """The engine is told which partitions are ours, before they are restored."""
        own = {place.partition for place in assigned if place.topic in self.app.engine.buffers}
        self.app.engine.assign(own, Generation(generation_id))
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    @Service.task  # type: ignore[untyped-decorator]
    async def _restart_recovery(self) -> None:
        while not self.should_stop:
            if await self.wait_for_stopped(self.signal_recovery_start):
                return
            self.signal_recovery_start.clear()
            try:
                await self._wait(ends_process(self._recover)(Generation(self._generation_id)))
            except RebalanceAgain:
                self.log.info("another rebalance began during recovery")
            except ServiceStopped:
                return

    @Service.task  # type: ignore[untyped-decorator]
    async def _slurp_changelogs(self) -> None:
        """Nothing: changelogs do not come through Faust's queue."""

    async def _recover(self, generation: Generation) -> None:
        assignment = self.app.engine.assignment
        self._set_recovery_started()
        try:
            if assignment.preparing == generation:
                await self.app.consumer.learn()
            await self.app.engine.prepare(generation)
        finally:
            self._set_recovery_ended()
        if self.app.consumer_generation_id != generation or assignment.preparing != generation:
            return
        await self.app.on_rebalance_complete.send()
        self.completed.set()
        # Neither Faust's fetcher nor the flow into its streams is started: agents have their records from our reader.
        self.tables.on_actives_ready()
        self.tables.on_standbys_ready()
        await self.app.consumer.perform_seek()
        if assignment.held != generation:
            return
        self.app.on_rebalance_end()
        self.log.info("worker ready with %d partitions of each inbox", len(assignment.partitions))


class SagaTableManager(TableManager):  # type: ignore[misc]
    """Faust's table manager with our recovery, which it starts at once."""

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()

    @property
    def recovery(self) -> SagaRecovery:
        if self._recovery is None:
            self._recovery: SagaRecovery = SagaRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
