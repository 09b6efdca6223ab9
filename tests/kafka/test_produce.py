"""The hand-written ProduceRequest is what aiokafka's own is, byte for byte."""

from io import BytesIO

import pytest
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.produce import ProduceRequest_v7, ProduceResponse_v7

from saga_app.kafka.produce import BatchResult, ProduceRequest, ProduceResponse

BATCHES = {("one", 0): b"a", ("two", 3): b"", ("one", 7): b"long" * 900}


def test_a_request_has_the_bytes_of_aiokafkas() -> None:
    topics = [("one", [(0, b"a"), (7, b"long" * 900)]), ("two", [(3, b"")])]
    ours, theirs = ProduceRequest(BATCHES, 4.0), ProduceRequest_v7(None, -1, 4000, topics)
    assert ours.encode() == theirs.encode()
    assert ours.build_request_header(5, "us").encode() == theirs.build_request_header(5, "us").encode()


def test_a_response_is_read_as_aiokafka_writes_it() -> None:
    topics = [("one", [(0, 0, 17, -1, 3), (7, 6, -1, -1, -1)]), ("ünser", [(3, 46, 2**40, -1, 0)])]
    packed = BytesIO(ProduceResponse_v7(topics=topics, throttle_time_ms=4).encode())
    assert ProduceResponse.decode(packed) == {
        ("one", 0): BatchResult(0, 17),  # type: ignore[arg-type]
        ("one", 7): BatchResult(6, -1),  # type: ignore[arg-type]
        ("ünser", 3): BatchResult(46, 2**40),  # type: ignore[arg-type]
    }


def test_a_broker_that_does_not_speak_the_version_is_named() -> None:
    request = ProduceRequest(BATCHES, 4.0)
    assert request.prepare({0: (3, 13)}) is request
    for versions in ((0, 6), (8, 20)):
        with pytest.raises(IncompatibleBrokerVersion, match=f"{versions[0]} to {versions[1]}"):
            request.prepare({0: versions})


def test_a_request_shows_its_places_and_no_records() -> None:
    assert repr(ProduceRequest(BATCHES, 4.0)) == "ProduceRequest(one[0], two[3], one[7])"
