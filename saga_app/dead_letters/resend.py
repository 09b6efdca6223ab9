"""Sends dead letters again, part by part: a part is marked before the next one is sent."""

from collections.abc import Iterator
from typing import Final

from saga_app.commands.render.output import Failed, complain, printable, show
from saga_app.dead_letters import replay
from saga_app.dead_letters.filters import Choice
from saga_app.dead_letters.format import LetterId
from saga_app.dead_letters.letter import Letter, Replay
from saga_app.dead_letters.reader import Letterbox
from saga_app.dead_letters.replay import Plan, Stays
from saga_app.kafka.sender import Sender, Sent, Unsure
from saga_app.settings import Settings

#: Letters that are sent, and then marked, at a time; and the bytes of their values.
AT_A_TIME: Final = 500
BYTES_AT_A_TIME: Final = 8 * 1024 * 1024


class Resending:
    """The letters of one command, on their way."""

    def __init__(
        self,
        settings: Settings,
        letterbox: Letterbox,
        choice: Choice,
        corrected: bytes | None,
        *,
        force: bool,
        as_json: bool,
    ) -> None:
        self.planned = 0
        self.staying = 0
        self._partitions = settings.partitions
        self._sender = Sender(settings)
        self._letterbox = letterbox
        self._choice = choice
        self._corrected = corrected
        self._force = force
        self._as_json = as_json
        self._replays: dict[LetterId, list[Replay]] = letterbox.replays()

    def chosen(self) -> Iterator[Letter]:
        """The letters that are meant; read anew each time."""
        return (each for each in self._letterbox.letters() if self._choice.takes(each, self._replays))

    def tell(self) -> None:
        """Only says what would happen."""
        for plan in self._plans():
            to = [f"{each.topic}:{each.partition}" for each in plan.sends]
            self._show(
                plan,
                to,
                f"{plan.letter.id} would be sent again as {plan.record.type} to {', '.join(to)}",
                sent=False,
            )

    def send(self) -> None:
        """Sends part by part, each part marked before the next."""
        part: list[Plan] = []
        size = 0
        for plan in self._plans():
            part.append(plan)
            size += len(plan.value) * len(plan.sends)
            if len(part) >= AT_A_TIME or size >= BYTES_AT_A_TIME:
                self._send(part)
                part, size = [], 0
        self._send(part)

    def _plans(self) -> Iterator[Plan]:
        for letter in self.chosen():
            try:
                plan = replay.plan(
                    letter, self._replays.get(letter.id, []), self._partitions, self._corrected, self._force
                )
            except Stays as reason:
                self.staying += 1
                if self._as_json:
                    show({"id": str(letter.id), "sent": False, "reason": str(reason)}, "", as_json=True)
                else:
                    complain(f"{letter.id} is not sent: {reason}")
            else:
                self.planned += 1
                yield plan

    def _send(self, part: list[Plan]) -> None:
        for plan, at in zip(part, post(self._sender, part), strict=True):
            to = [str(each) for each in at]
            self._show(
                plan, to, f"{plan.letter.id} sent again as {plan.record.type} to {', '.join(to)}", sent=True
            )

    def _show(self, plan: Plan, to: list[str], people: str, *, sent: bool) -> None:
        machine = {
            "id": str(plan.letter.id),
            "sent": sent,
            "type": plan.record.type,
            "to": to,
            "warning": plan.warning,
        }
        warning = f"; {plan.warning}" if plan.warning else ""
        show(machine, printable(people + warning), as_json=self._as_json)


def post(sender: Sender, part: list[Plan]) -> list[list[LetterId]]:
    """Sends letters again, and then marks them; where the records of each stand now. `Failed` says what is unsure."""
    if not part:
        return []
    try:
        sent = iter(sender.post(each for plan in part for each in plan.sends))
    except Unsure as error:
        raise Failed(
            f"{error}; of the last {len(part)} letters nothing is recorded, so the same command sends them again, "
            "and twice changes nothing"
        ) from error
    places = [[_place(next(sent)) for _ in plan.sends] for plan in part]
    try:
        sender.post(map(replay.marker, part, places))
    except Unsure as error:
        raise Failed(
            f"{error}; the last {len(part)} letters were sent again, but this is not recorded"
        ) from error
    return places


def _place(sent: Sent) -> LetterId:
    return LetterId(sent.topic, sent.partition, sent.offset)
