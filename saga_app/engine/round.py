"""The round: decide, journal, publish, apply, acknowledge, over and over.

What has been published follows from a decision that is durable; balances never run ahead of the journal; the disk
never runs ahead of the changelog; the committed offset never runs ahead of anything. A crash between any two steps
leaves a prefix, and the replay finds either nothing (and decides the same again, as the fold is pure) or a journal
row (and sends the recorded outcome again). The round knows nothing of Faust or Kafka.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from saga_app import topics
from saga_app.core.decider import Decider, Position, Verdict
from saga_app.core.errors import Fault, Rejected
from saga_app.core.records import ForPartition, OrderCompleted, PolicyChanged, Record, StepRequest
from saga_app.dead_letters.budget import LetterBudget
from saga_app.dead_letters.format import MOST_RECORD_BYTES, dead_letter
from saga_app.engine.durability import Changed, Durability, Point, Span
from saga_app.engine.misrouted import is_misrouted, marked, spread_to
from saga_app.engine.partition_state import PartitionState
from saga_app.engine.ports import GivenUp, Inbox, Log
from saga_app.kafka.headers import require_fit
from saga_app.kafka.messages import Batch, Fetch, Message, Outgoing, located, outgoing, size_of
from saga_app.kafka.order_outcomes import outcome_record
from saga_app.kafka.signatures import Signatures
from saga_app.wire import BoundedCache, Decoder

#: Records decided in one round at most: what is decided and not durable stays bounded.
MOST_RECORDS: Final = 4_000
#: Bytes of these, so that a round of large orders does not block the main loop for seconds.
MOST_BYTES: Final = 4 * 1024 * 1024
#: Dead letters of one round with a line of their own in the log; the others are counted in one line.
MOST_LOGGED: Final = 10
#: Bytes of refused records after which a round ends: their texts are searched for card numbers, and that takes a
#: hundred times as long as to decide a record.
MOST_REFUSED_BYTES: Final = 256 * 1024
#: Bytes of the records that a worker has written and not yet read back; parsed, they take about ten times as much.
MOST_WRITTEN: Final = 4 * 1024 * 1024


class Note(NamedTuple):
    """A line for the log about a record. `alarm`: it must not happen; `warning`: somebody should look at it."""

    text: str
    order_id: str | None = None
    alarm: bool = False
    warning: bool = False


class Decided(NamedTuple):
    """One micro-batch, decided and not yet durable; its rows are in the states of its partitions."""

    spans: Sequence[Span]
    sends: Sequence[Outgoing]


#: No decision shares a round with a change of rules. All that came before an eviction is settled when it comes.
ALONE: Final = (PolicyChanged, ForPartition)


class Round:
    """The rounds of one agent, over all partitions of its inbox that this worker owns."""

    def __init__(
        self,
        topic: str,
        decider: Decider,
        partitions: int,
        changelog: Callable[[str], str],
        *,
        inbox: Inbox,
        journal: Log,
        publisher: Log,
        states: Mapping[int, PartitionState],
        written: BoundedCache[Record] | None = None,
        decoder: Decoder | None = None,
        signatures: Signatures | None = None,
        passing: Callable[[Point], None] = lambda point: None,
        applied: Callable[[int, Changed], None] = lambda partition, changed: None,
    ) -> None:
        self.topic = topic
        self.decider = decider
        self.partitions = partitions
        self.inbox = inbox
        self.states = states
        self.durability = Durability(
            decider,
            changelog,
            inbox=inbox,
            journal=journal,
            publisher=publisher,
            states=states,
            passing=passing,
            applied=applied,
        )
        #: What this worker has sent and will read back itself, each record once: it need not parse it.
        self.written = BoundedCache[Record](MOST_WRITTEN) if written is None else written
        self.decoder = Decoder() if decoder is None else decoder
        #: None if nobody signs.
        self.signatures = signatures
        #: How many records met which fate, since the start.
        self.verdicts: Counter[Verdict] = Counter()
        #: Dead letters of the last round, apart from alarms, and the bytes of all that it refused.
        self._letters = 0
        self._refused_bytes = 0
        self._budget = LetterBudget()
        #: Records decided in the last round.
        self.size = 0
        #: What checkout tells people, and what must not happen: each is logged by the caller.
        self.notes: list[Note] = []

    def decide(self, batches: Fetch) -> Iterator[Decided]:
        """Decides all batches, most often as one micro-batch. Nothing leaves the process.

        Where it takes more than one, each is decided when it is asked for: the one before must be durable by then.
        """
        waiting = list(batches)
        while waiting:
            decided, waiting = self._decide(waiting)
            yield decided
            waiting = [batch for batch in waiting if self.inbox.is_current(batch.generation)]

    async def forward(self, decided: Decided) -> None:
        """Makes it durable, publishes what follows from it, applies it and acknowledges the records."""
        try:
            await self.durability.make_durable(*decided)
        except GivenUp:
            # As after a crash: the next assignment restores the rows that are in the changelogs.
            self.notes.append(Note("a round was left to the next owner of its partitions"))

    def _decide(self, batches: list[Batch]) -> tuple[Decided, list[Batch]]:
        """One micro-batch, and the batches left."""
        sends: list[Outgoing] = []
        spans: list[Span] = []
        self._letters = self._refused_bytes = 0
        left: list[Batch] = []
        closed: set[int] = set()
        room, budget = MOST_RECORDS, MOST_BYTES
        for batch in batches:
            fitting = _fitting(batch.messages, room, budget)
            is_full = fitting < min(1, len(batch.messages)) or self._refused_bytes >= MOST_REFUSED_BYTES
            if batch.partition in closed or is_full:
                closed.add(batch.partition)
                left.append(batch)
                continue
            begun = any(span.partition == batch.partition for span in spans)
            used, stop = self._decide_batch(batch, fitting, sends, begun=begun)
            room -= used
            budget -= sum(map(size_of, batch.messages[:used]))
            if stop:
                closed.add(batch.partition)
            whole = used == len(batch.messages)
            end = batch.end if whole else batch.messages[used].offset
            if end > batch.start:
                spans.append(Span(batch.partition, batch.start, end, batch.generation))
            if not whole:
                closed.add(batch.partition)
                left.append(batch._replace(start=end, messages=batch.messages[used:]))
        self.size = MOST_RECORDS - room
        if self._letters > MOST_LOGGED:
            more = self._letters - MOST_LOGGED
            self.notes.append(Note(f"{more} more dead letters; `saga dead-letters` lists them", warning=True))
        return Decided(spans, sends), left

    def _decide_batch(
        self, batch: Batch, fitting: int, sends: list[Outgoing], *, begun: bool
    ) -> tuple[int, bool]:
        """Decides the batch's messages in order; how many, and whether its partition must wait for the next round.

        `begun`: messages of this partition are in the round already.
        """
        partition, state = batch.partition, self.states[batch.partition]
        for used, message in enumerate(islice(batch.messages, fitting)):
            try:
                record = self._read(message, partition)
                alone = isinstance(record, ALONE)
                if alone and (used or begun):
                    return used, True
                self._decide_one(record, message, partition, state, sends)
                if alone:
                    return 1, True
            except Rejected as rejection:
                self._refuse(message, partition, rejection, sends)
                if self._refused_bytes >= MOST_REFUSED_BYTES:
                    return used + 1, True
        return fitting, False

    def _refuse(self, message: Message, partition: int, rejection: Rejected, sends: list[Outgoing]) -> None:
        self.verdicts[Verdict.DEAD] += 1
        self._note_letter(partition, message, rejection)
        size = size_of(message)
        self._refused_bytes += size
        # Of what is too large the letter keeps little.
        is_kept = self._budget.takes((self.topic, partition), message.time, min(size, MOST_RECORD_BYTES))
        sends.append(dead_letter(self.topic, partition, message, rejection, brief=not is_kept))

    def _read(self, message: Message, partition: int) -> Record:
        if message.headers:
            require_fit(message.headers)
        value = message.value or b""
        record = self.written.take(value) or self.decoder.decode(message.value)
        if not isinstance(record, self.decider.accepts):
            raise Rejected(Fault.UNEXPECTED_RECORD, f"{record.type} does not belong into {self.topic}")
        if self.signatures is not None:
            self.signatures.require(record, message, self.topic, partition)
        return record

    def _decide_one(
        self, record: Record, message: Message, partition: int, state: PartitionState, sends: list[Outgoing]
    ) -> None:
        if is_misrouted(record, message, partition, self.partitions):
            sends.append(self._sent_on(record, message))
            self.verdicts[Verdict.SENT_ON] += 1
            return
        elsewhere = spread_to(record, message, partition, self.partitions)
        decision = self.decider.decide(record, Position(message.offset, message.time, partition), state)
        self.verdicts[decision.verdict] += 1
        if decision.note is not None:
            self._note(record, decision.note, alarm=decision.alarm)
        state.put(decision.puts)
        sends.extend([self._outgoing(sent) for sent in decision.sends])
        sends.extend(map(outcome_record, decision.outcomes))
        sends.extend([self._sent_on(record, message)._replace(partition=each) for each in elsewhere])

    def _outgoing(self, record: Record) -> Outgoing:
        sent = outgoing(record)
        # What is in these was validated when the order was placed: read, they would be the same.
        if isinstance(record, (StepRequest, OrderCompleted)) and self._comes_back(record):
            assert sent.value is not None
            self.written.keep(sent.value, record)
        return sent

    def _comes_back(self, record: Record) -> bool:
        """True if this worker will read this record itself: it has the same partitions of every inbox."""
        if len(self.states) == self.partitions:
            return True
        return topics.partition_for(record, self.partitions) in self.states

    def _sent_on(self, record: Record, message: Message) -> Outgoing:
        return outgoing(record)._replace(topic=self.topic, value=message.value, headers=marked(message))

    def _note_letter(self, partition: int, message: Message, rejection: Rejected) -> None:
        """A line about a dead letter, with nothing that people wrote: its place says enough to find it."""
        where = located((self.topic, partition), message.offset)
        if rejection.fault is Fault.CONTRADICTION:
            self.notes.append(Note(f"ALARM {rejection} at {where}", alarm=True))
            return
        self._letters += 1
        if self._letters <= MOST_LOGGED:
            how = f"saga dead-letters {where}"
            text = f"dead letter, {rejection.fault}: {where}; `{how}` shows it"
            self.notes.append(Note(text, warning=True))

    def _note(self, record: Record, text: str, *, alarm: bool) -> None:
        key, order_id = topics.key_of(record), getattr(record, "order_id", None)
        of = "partition" if isinstance(record, ForPartition) else "order"
        told = f"{'ALARM ' if alarm else ''}{of} {order_id or key}: {text}"
        self.notes.append(Note(told, order_id, alarm=alarm))


def _fitting(messages: Sequence[Message], room: int, budget: int) -> int:
    """The number of messages that fit. The last one may pass the budget, so that every record fits into some round."""
    for count, message in enumerate(islice(messages, room)):
        if budget <= 0:
            return count
        budget -= size_of(message)
    return min(room, len(messages))
