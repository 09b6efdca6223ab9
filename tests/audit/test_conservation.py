"""Money and stock are added up after every record: a decision that makes or loses some is found."""

from decimal import Decimal

from saga_app.audit.checks.conservation import Conservation
from saga_app.audit.findings import Findings
from saga_app.core.decider import Decision, Put, Verdict
from saga_app.core.numbers import Offset, version_at
from saga_app.core.rows import Account, JournalRow, State

PLACE = ("payment_events", 0)


def paid(offset: int, amount: str, **row: object) -> Put:
    fields = {"done_at": offset, "moves": {"c1:GBP": Decimal(amount)}, **row}
    return Put("payments", "o1", JournalRow(version_at(offset), State.DONE, "x", **fields))  # type: ignore[arg-type]


def account(offset: int, deposited: str, balance: str) -> Put:
    return Put("accounts", "c1:GBP", Account(version_at(offset), Decimal(deposited), Decimal(balance)))


def came(offset: int, amount: str) -> Put:
    row = JournalRow(
        version_at(offset), State.DONE, "x", done_at=Offset(offset), moves={"c1:GBP": Decimal(amount)}
    )
    return Put("payments", "deposit:c1:d1", row)


def check(*decisions: tuple[Put | None, tuple[Put, ...]]) -> list[str]:
    """The breaches of these decisions, which follow each other at offsets 0, 1, 2."""
    findings = Findings()
    adding = Conservation(PLACE, "accounts", findings)
    for offset, (journal, balances) in enumerate(decisions):
        adding.decided(Decision(Verdict.APPLIED, journal, balances), offset)
    return [str(breach) for breach in findings.breaches]


DEPOSIT = (came(0, "10.00"), (account(0, "10.00", "10.00"),))


def test_a_deposit_a_payment_and_its_refund_add_up() -> None:
    undone = paid(2, "-4.00", done_at=Offset(1), undone_at=Offset(2))
    assert not check(
        DEPOSIT,
        (paid(1, "-4.00"), (account(1, "10.00", "6.00"),)),
        (undone, (account(2, "10.00", "10.00"),)),
    )


def test_a_balance_below_zero_is_found() -> None:
    (found,) = check(DEPOSIT, (paid(1, "-14.00"), (account(1, "10.00", "-4.00"),)))
    assert found == "payment_events:0:1, field c1:GBP.balance: c1:GBP: -4.00 is below zero"


def test_a_cent_that_is_lost_is_found() -> None:
    (found,) = check(DEPOSIT, (paid(1, "-4.00"), (account(1, "10.00", "5.99"),)))
    assert "5.99 is there, but by the journal it is 6.00" in found


def test_a_payment_that_moves_no_balance_is_found() -> None:
    (found,) = check(DEPOSIT, (paid(1, "-4.00"), ()))
    assert "do not say the same of what moved" in found


def test_a_balance_that_moves_without_a_payment_is_found() -> None:
    assert check(DEPOSIT, (None, (account(1, "10.00", "6.00"),)))


def test_a_deposit_that_is_counted_twice_is_found() -> None:
    assert check((came(0, "10.00"), (account(0, "20.00", "20.00"),)))
