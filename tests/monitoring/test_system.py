"""The metrics of the whole system agree with the readings."""

from pathlib import Path

from saga_app import topics
from saga_app.health.readings import Readings
from saga_app.kafka.repeated_ends import FRESH, RepeatedEnds
from saga_app.monitoring.system import SystemCollector
from saga_app.settings import Settings
from saga_app.times import now
from tests.support.health import all_well


def measured(readings: Readings | None, folder: Path) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in SystemCollector(lambda: readings, folder / "not" / "there").collect()
        for sample in family.samples
    }


def test_a_system_in_which_all_is_well(tmp_path: Path) -> None:
    found = measured(all_well(Settings()), tmp_path)
    assert found["saga_kafka_up",] == found["saga_copier_up",] == found["saga_workers",] == 1
    assert found["saga_untaken_records", "checkout"] == found["saga_copy_lag_records",] == 0
    assert found["saga_disk_free_bytes",] > 0


def test_workers_that_end_again_and_again_are_counted_until_they_run_well(tmp_path: Path) -> None:
    well = all_well(Settings())
    kafka = well.kafka
    assert kafka is not None

    def ends(age: int) -> float:
        told = {"host-1": RepeatedEnds(4, 70, now() - age)}
        members = kafka.members._replace(ends=told, state="preparing a rebalance")
        found = measured(well._replace(kafka=kafka._replace(members=members)), tmp_path)
        assert found["saga_group_settled",] == 0
        return found["saga_worker_ends",]

    assert (ends(1_000), ends(FRESH)) == (4, 0)


def test_what_could_not_be_read_is_left_out_and_never_zero(tmp_path: Path) -> None:
    found = measured(Readings(now(), None, "refused", None, "gone"), tmp_path)
    assert found.keys() == {("saga_kafka_up",), ("saga_order_database_up",), ("saga_disk_free_bytes",)}
    assert found["saga_kafka_up",] == found["saga_order_database_up",] == 0


def test_a_copier_that_gives_no_sign_is_down_and_its_lag_has_an_age(tmp_path: Path) -> None:
    well = all_well(Settings())
    assert well.database is not None and well.kafka is not None and well.kafka.copy is not None
    readings = well._replace(
        database=well.database._replace(alive_at=now() - 60_000, dead_letters=3),
        kafka=well.kafka._replace(
            copy=well.kafka.copy._replace(by_topic={topics.PAYMENT: 7}, since=now() - 50_000)
        ),
    )
    found = measured(readings, tmp_path)
    assert (found["saga_copier_up",], found["saga_copy_lag_records",], found["saga_dead_letters",]) == (
        0,
        7,
        3,
    )
    assert found["saga_copy_lag_seconds",] >= 50


def test_records_behind_an_open_transaction_are_measured_apart_from_the_lag(tmp_path: Path) -> None:
    well = all_well(Settings())
    assert well.kafka is not None
    first, *others = well.kafka.inboxes
    held = first._replace(held=9, held_since=now() - 70_000)
    found = measured(well._replace(kafka=well.kafka._replace(inboxes=[held, *others])), tmp_path)
    assert (found["saga_untaken_records", "checkout"], found["saga_held_back_records", "checkout"]) == (0, 9)
    assert found["saga_held_back_age_seconds", "checkout"] >= 70
    assert found["saga_held_back_records", "payment"] == found["saga_held_back_age_seconds", "payment"] == 0
