"""Workers that commit too much, write when they must not, or lose a deadline."""

import pytest

from saga_app.core.numbers import Generation
from saga_app.core.patience import LONGEST_DELAY
from saga_app.engine.deadlines import DeadlineTimer
from saga_app.engine.inbox_buffer import InboxBuffer
from saga_app.engine.lease import Lease
from saga_app.kafka.messages import Batch, Outgoing


def fetched_records_are_committed(patch: pytest.MonkeyPatch) -> None:
    """Exactly the durable offsets are committed."""

    def hasty(self: InboxBuffer, batch: Batch) -> None:
        deliver(self, batch)
        if self.is_current(batch.generation):
            self.durable[batch.partition] = batch.end

    deliver = InboxBuffer.deliver
    patch.setattr(InboxBuffer, "deliver", hasty)
    patch.setattr(InboxBuffer, "done", lambda self, partition, start, end, generation: None)


def batches_of_an_earlier_generation_are_decided(patch: pytest.MonkeyPatch) -> None:
    """A batch of an earlier generation is dropped."""

    def greedy(self: InboxBuffer, batch: Batch) -> None:
        self._waiting.append(batch)
        self._arrived.set()

    def take_as_ours(self: InboxBuffer) -> list[Batch]:
        held = self._assignment.held
        return [each if held is None else each._replace(generation=held) for each in take(self)]

    take = InboxBuffer._take
    patch.setattr(InboxBuffer, "deliver", greedy)
    patch.setattr(InboxBuffer, "_take", take_as_ours)


def a_zombie_sends(patch: pytest.MonkeyPatch) -> None:
    """A worker sends only while it certainly belongs to that generation of the group."""
    patch.setattr(Lease, "holds", lambda self, generation: True)


def one_answer_renews_the_lease(patch: pytest.MonkeyPatch) -> None:
    """Whoever was silent for longer than the session may have been replaced, whatever a coordinator answers."""

    def trusting(self: Lease, generation: Generation, asked_at: float) -> bool:
        self._renewed = (generation, asked_at)
        return True

    patch.setattr(Lease, "renew", trusting)


def a_deadline_is_not_kept_over_a_restart(patch: pytest.MonkeyPatch) -> None:
    """At assignment one scan of the open rows rebuilds the timers."""
    patch.setattr(DeadlineTimer, "load", lambda self, store: None)


def a_nudge_is_sent_once(patch: pytest.MonkeyPatch) -> None:
    """A nudge can get lost like anything else."""

    def take(self: DeadlineTimer) -> list[Outgoing]:
        nudges = everything(self)
        now = self._clock()
        self._due = [each for each in self._due if each[0] < now + LONGEST_DELAY]
        return nudges

    everything = DeadlineTimer._take
    patch.setattr(DeadlineTimer, "_take", take)
