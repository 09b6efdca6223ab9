"""Fuzzes batches and the records in them: python -m tests.fuzz [--minutes M] [--seed N] [--corpus FOLDER]

Inputs with a new outcome stay in the corpus, and the next run goes on from them. One that fails stays in `failed`.
"""

import argparse
import random
import sys
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from saga_app.kafka.packed import batches_in
from tests.fuzz.targets import Outcome, outcome_of
from tests.kafka.batches_made import CODECS, batch, record
from tests.support.corpus import GOOD, spelled

#: The corpus that is kept in the repository, and where a run keeps what it finds.
SEEDS: Final = Path(__file__).parent / "corpus"
FOUND: Final = Path(".run/fuzz")
#: Seconds that an input may take; a hostile one must not hold up a worker.
MOST_SECONDS: Final = 5.0
PIECES: Final = [
    b"\0",
    b"\xff",
    b"\x80" * 10,
    b"\xfe\xff\xff\xff\x0f",
    b'"',
    b"{",
    b"4111111111111111",
    b"\\u0034",
]
VALUES: Final = [spelled(type_, fields) for type_, fields in GOOD.items()]


def seeds() -> list[bytes]:
    """A batch of each codec for each kind of record; what was found before comes from the folders."""
    made = [batch(record(0, value), 1, codec=codec) for codec in CODECS for value in VALUES]
    return [*made, *(path.read_bytes() for path in sorted(SEEDS.glob("*.batch")))]


def mutated(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """Changes the bytes behind the header of the batch, most often before they are compressed."""
    first = next(batches_in(data), None)
    if first is None or chance.random() < 0.3:
        return data[:61] + _changed(data[61:], chance)
    payload = bytes(first.payload) if not first.is_packed else record(0, chance.choice(VALUES))
    if chance.random() < 0.3:
        payload += bytes(chance.choice(others)[61:200])
    return batch(_changed(payload, chance), chance.choice((1, 1, 2, 5)), codec=chance.choice(list(CODECS)))


def _changed(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(changed))
        how = chance.random()
        if how < 0.4 and at < len(changed):
            changed[at] = chance.randint(0, 255)
        elif how < 0.7:
            changed[at:at] = chance.choice(PIECES)
        elif how < 0.85:
            del changed[at : at + chance.randint(1, 8)]
        else:
            changed[at:at] = chance.choice(PIECES) * chance.choice((10, 1_000, 100_000))
    return bytes(changed)


def fuzz(seconds: float, seed: int, folder: Path) -> tuple[int, int, int]:
    """Tries so long; returns the inputs tried, the outcomes seen and the inputs that failed."""
    chance = random.Random(seed)
    corpus = [*seeds(), *(path.read_bytes() for path in sorted(folder.glob("*.batch")))]
    seen: set[Outcome] = {outcome_of(each) for each in corpus}
    tried = failed = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = mutated(chance.choice(corpus), corpus, chance)
        tried += 1
        try:
            began = time.process_time()
            outcome = outcome_of(data)
            assert time.process_time() - began < MOST_SECONDS, "it takes too long"
        except Exception as error:
            failed += 1
            print(f"{_keep(folder / 'failed', data)}: {error!r}")
            continue
        if outcome not in seen:
            seen.add(outcome)
            corpus.append(data)
            _keep(folder, data)
    return tried, len(seen), failed


def _keep(folder: Path, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{sha256(data).hexdigest()[:16]}.batch"
    path.write_bytes(data)
    return path


def main() -> int:
    """Runs it; exit code 1 if an input failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--corpus", type=Path, default=FOUND)
    options = parser.parse_args()
    tried, outcomes, failed = fuzz(options.minutes * 60, options.seed, options.corpus)
    print(f"seed {options.seed}: {tried:,} inputs, {outcomes} outcomes, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
