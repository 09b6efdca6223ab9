"""The properties of a local broker."""

import socket
from pathlib import Path

import pytest

from saga_app import topics
from saga_app.local import config
from saga_app.local.errors import LocalKafkaError


def test_every_listener_is_on_loopback() -> None:
    settings = config.properties(20001, 20002, Path("data"))
    for address in (*settings["listeners"].split(","), settings["advertised.listeners"]):
        assert address.split("://")[1].startswith("127.0.0.1:")


def test_a_broker_alone_is_its_own_quorum_and_keeps_one_copy() -> None:
    settings = config.properties(20001, 20002, Path("data"))
    assert settings["node.id"] == "1"
    assert settings["controller.quorum.voters"] == "1@127.0.0.1:20002"
    copies = {value for name, value in settings.items() if name.endswith(("replication.factor", "isr"))}
    assert copies == {"1"} and settings["min.insync.replicas"] == "1"


def test_three_brokers_know_each_other_and_keep_three_copies_of_which_two_must_agree() -> None:
    settings = config.properties(20002, 20012, Path("data"), (20011, 20012, 20013))
    assert settings["node.id"] == "2"
    assert settings["controller.quorum.voters"] == "1@127.0.0.1:20011,2@127.0.0.1:20012,3@127.0.0.1:20013"
    assert {value for name, value in settings.items() if name.endswith("replication.factor")} == {"3"}
    assert {value for name, value in settings.items() if name.endswith("isr")} == {"2"}
    assert settings["min.insync.replicas"] == "2"


def test_the_largest_record_of_ours_fits_with_room() -> None:
    assert config.LARGEST_RECORD > topics.LARGEST_IN_LOG


def test_a_backslash_in_a_path_stays_one() -> None:
    assert config.as_text({"log.dirs": r"C:\kafka"}) == "log.dirs=C:\\\\kafka\n"


def test_a_port_that_is_taken_is_not_chosen() -> None:
    with socket.socket() as other:
        other.bind((config.HOST, 0))
        other.listen()
        taken = other.getsockname()[1]
        assert not config.is_free(taken)
        with pytest.raises(LocalKafkaError, match="No 1 free ports"):
            config.free_ports(1, [taken])


def test_ports_are_different_and_below_those_of_outgoing_connections() -> None:
    found = config.free_ports(5)
    assert len(set(found)) == 5
    assert max(found) < 32_768
