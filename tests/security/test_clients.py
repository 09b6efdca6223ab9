"""Every client of Kafka is told how brokers are spoken to, and both libraries keep to it."""

import logging
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.protocol.admin import SaslAuthenticateRequest, SaslHandShakeRequest
from confluent_kafka import KafkaError, KafkaException

import saga_app
from saga_app.application import create_app
from saga_app.engine.faust.credentials import tells_no_credentials
from saga_app.kafka.broker_errors import Admin, RefusalLogger, refused
from saga_app.settings import Settings
from tests.security.authority import Authority

ROOT = Path(saga_app.__file__).parent.parent
#: The only modules that name a broker: the settings, the application for Faust, and the local broker.
NAMERS = {
    "saga_app/security.py",
    "saga_app/settings.py",
    "saga_app/engine/faust/app.py",
    "saga_app/local/broker.py",
}
USER = {"SAGA_SECURITY": "sasl_ssl", "SAGA_SASL_USERNAME": "ada", "SAGA_SASL_PASSWORD": "hunter2"}


def test_no_client_is_made_past_the_settings():
    """Without a broker's name no client connects, so the places that name one are all there are."""
    sources = [each for room in ("saga_app", "agents", "tables") for each in (ROOT / room).rglob("*.py")]
    names = ("bootstrap.servers", "bootstrap_servers", "kafka://")
    found = {each for each in sources if any(name in each.read_text("utf-8") for name in names)}
    assert {each.relative_to(ROOT).as_posix() for each in found} == NAMERS


def test_faust_and_librdkafka_are_told_the_same():
    settings = Settings.read(USER)
    kafka, faust = settings.kafka, create_app(settings).conf.broker_credentials
    assert (kafka["security.protocol"], faust.protocol.value) == ("sasl_ssl", "SASL_SSL")
    assert kafka["sasl.mechanism"] == faust.mechanism.value == "SCRAM-SHA-512"
    assert kafka["sasl.username"] == faust.username == "ada"
    assert kafka["sasl.password"] == faust.password == "hunter2"
    assert kafka["enable.ssl.certificate.verification"] and faust.ssl_context.verify_mode is ssl.CERT_REQUIRED
    assert kafka["ssl.endpoint.identification.algorithm"] == "https" and faust.ssl_context.check_hostname


def test_a_login_is_not_written_to_the_log_at_any_level():
    """aiokafka logs every request at DEBUG; that of the mechanism PLAIN is the password itself."""

    def line(request: object) -> logging.LogRecord:
        words = ("broker", 9092, 1, request)
        return logging.LogRecord(
            "aiokafka.conn", logging.DEBUG, "", 1, "Request to %s:%d %d: %s", words, None
        )

    login = line(SaslAuthenticateRequest(b"\0ada\0hunter2").prepare({36: (0, 1)}))
    assert "hunter2" in login.getMessage() and not tells_no_credentials(login)
    assert tells_no_credentials(line(SaslHandShakeRequest("PLAIN").prepare({17: (0, 1)})))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "certificates")


class HandshakeServer:
    """Ends each handshake that it gets, and remembers which were good."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.shaken: list[bool] = []
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            try:
                self._context.wrap_socket(connection, server_side=True).close()
                self.shaken.append(True)
            except OSError:
                self.shaken.append(False)
                connection.close()


@pytest.fixture
def server(authority: Authority, request: pytest.FixtureRequest) -> Iterator[HandshakeServer]:
    own = authority.sign("broker")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = request.param
    server = HandshakeServer(context)
    yield server
    server.close()


@pytest.mark.parametrize(
    ("server", "spoken"),
    [(ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_1, False)],
    indirect=["server"],
)
def test_nothing_older_than_tls_1_2_is_spoken(server: HandshakeServer, spoken: bool, authority: Authority):
    settings = Settings(broker=server.address, security_text="ssl", tls_ca=str(authority.certificate))
    with pytest.raises(KafkaException):
        Admin(settings).list_topics(timeout=1)
    assert server.shaken and any(server.shaken) is spoken
    server.shaken.clear()
    context = settings.security.context()
    assert context is not None
    host, _, port = server.address.partition(":")
    try:
        with socket.create_connection((host, int(port)), 5) as line:
            context.wrap_socket(line, server_hostname=host).close()
    except OSError:
        assert not spoken
    else:
        assert spoken


@pytest.mark.parametrize(
    ("code", "said", "named"),
    [
        (KafkaError._AUTHENTICATION, "SASL authentication error: invalid credentials", "SAGA_SASL_PASSWORD"),
        (KafkaError._SSL, "SSL handshake failed: certificate verify failed: ...", "SAGA_TLS_CA"),
        (KafkaError._TRANSPORT, "Receive failed: ssl/tls alert bad certificate", "SAGA_TLS_CERT"),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, "Group authorization failed", "docs/how-to/secure-kafka.md"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "Topic authorization failed", "docs/how-to/secure-kafka.md"),
        (KafkaError._TRANSPORT, "Connect failed: Connection refused", None),
        (KafkaError._SSL, "SSL handshake failed: Disconnected: connection closed by peer", None),
        (KafkaError._AUTHENTICATION, "Disconnected while requesting SASL handshake", None),
    ],
)
def test_a_refusal_names_the_setting_and_what_may_pass_is_none(code: int, said: str, named: str | None):
    words = refused(KafkaError(code, f"sasl_ssl://h:1/bootstrap: {said} (after 3ms in state AUTH_REQ)"))
    if named is None:
        assert words is None
    else:
        assert words is not None and named in words and "bootstrap" not in words and "3ms" not in words


def test_a_client_that_goes_on_trying_says_so_now_and_then(caplog: pytest.LogCaptureFixture):
    times = iter((0.0, 1.0, 9.0, 10.0, 11.0))
    tell = RefusalLogger(clock=lambda: next(times))
    for _ in range(5):
        tell(KafkaError(KafkaError._AUTHENTICATION, "SASL authentication error"))
    assert [each.levelname for each in caplog.records] == ["ERROR", "ERROR"]
    assert "SAGA_SASL_PASSWORD" in caplog.text
