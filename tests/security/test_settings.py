"""Settings of security: each mistake is told before anything is connected, and by the name of the setting."""

from pathlib import Path

import pytest

from saga_app.settings import Settings, SettingsError, describe, given_names
from tests.security.authority import Authority

USER = {"SAGA_SECURITY": "sasl_ssl", "SAGA_SASL_USERNAME": "ada", "SAGA_SASL_PASSWORD": "hunter2"}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "certificates")


@pytest.mark.parametrize(
    ("given", "named", "said"),
    [
        ({"SAGA_SECURITY": "tls"}, "SAGA_SECURITY", "one of plaintext, ssl"),
        ({**USER, "SAGA_SASL_MECHANISM": "GSSAPI"}, "SAGA_SASL_MECHANISM", "one of PLAIN"),
        ({"SAGA_SECURITY": "sasl_ssl"}, "SAGA_SASL_USERNAME", "needs one"),
        ({**USER, "SAGA_SASL_PASSWORD": ""}, "SAGA_SASL_PASSWORD", "or SAGA_SASL_PASSWORD_FILE"),
        ({**USER, "SAGA_SASL_PASSWORD_FILE": "f"}, "SAGA_SASL_PASSWORD_FILE", "only one"),
        ({**USER, "SAGA_SECURITY": "plaintext"}, "SAGA_SASL_USERNAME", "uses none"),
        ({"SAGA_SASL_PASSWORD": "hunter2"}, "SAGA_SASL_PASSWORD", "SAGA_SECURITY is plaintext"),
        (
            {**USER, "SAGA_SASL_PASSWORD": "", "SAGA_SASL_PASSWORD_FILE": "hunter2"},
            "SAGA_SASL_PASSWORD_FILE",
            "No such file",
        ),
        ({"SAGA_SECURITY": "ssl", "SAGA_SASL_PASSWORD_FILE": __file__}, "SAGA_SASL_PASSWORD", "sasl_ssl"),
        ({"SAGA_WEB_TOKEN_FILE": "/no/hunter2"}, "SAGA_WEB_TOKEN_FILE", "No such file"),
        ({"SAGA_DB_URL_FILE": "/no/hunter2"}, "SAGA_DB_URL_FILE", "No such file"),
        ({"SAGA_WEB_TOKEN_FILE": "f", "SAGA_WEB_TOKEN": "hunter2"}, "SAGA_WEB_TOKEN_FILE", "only one"),
        ({"SAGA_TLS_CA": "ca.pem"}, "SAGA_TLS_CA", "ssl or sasl_ssl"),
        ({"SAGA_SECURITY": "ssl", "SAGA_TLS_CERT": "me.pem"}, "SAGA_TLS_KEY", "belong together"),
        ({"SAGA_SECURITY": "ssl", "SAGA_TLS_CA": "/no/ca.pem"}, "SAGA_TLS_CA", "No such file"),
        ({"SAGA_SECURITY": "ssl", "SAGA_TLS_CA": __file__}, "SAGA_TLS_CA", "PEM"),
        ({"SAGA_BROKER": "kafka.example:9092"}, "SAGA_SECURITY", "not this machine"),
        ({"SAGA_BROKER": "127.0.0.1:9092,kafka.example:9092"}, "SAGA_SECURITY", "not this machine"),
    ],
)
def test_a_mistake_is_told_by_the_name_of_the_setting_and_without_the_secret(
    given: dict[str, str], named: str, said: str
):
    with pytest.raises(SettingsError) as told:
        Settings.read(given)
    assert named in str(told.value) and said in str(told.value)
    assert "hunter2" not in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize("given", [{}, {"SAGA_BROKER": "localhost:1,127.0.0.1:2,[::1]:3"}])
def test_brokers_on_this_machine_are_spoken_to_in_plaintext_without_being_told(given: dict[str, str]):
    assert Settings.read(given).kafka["security.protocol"] == "plaintext"


def test_plaintext_to_another_machine_has_to_be_said():
    given = {"SAGA_BROKER": "kafka.example:9092", "SAGA_SECURITY": "PLAINTEXT"}
    assert Settings.read(given).kafka["security.protocol"] == "plaintext"


def test_a_password_may_be_in_a_file_that_ends_with_a_line_break(tmp_path: Path):
    (tmp_path / "password").write_text("hun ter2\n")
    given = {**USER, "SAGA_SASL_PASSWORD": "", "SAGA_SASL_PASSWORD_FILE": str(tmp_path / "password")}
    assert Settings.read(given).security.password == "hun ter2"


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_a_password_file_without_a_password_is_refused(tmp_path: Path, content: bytes | None):
    if content is not None:
        (tmp_path / "password").write_bytes(content)
    given = {**USER, "SAGA_SASL_PASSWORD": "", "SAGA_SASL_PASSWORD_FILE": str(tmp_path / "password")}
    with pytest.raises(SettingsError, match="SAGA_SASL_PASSWORD_FILE"):
        Settings.read(given)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("SAGA_WEB_TOKEN", "t0ken"),
        ("SAGA_DB_URL", "postgresql://saga:hunter2@db/orders"),
        ("SAGA_TRACES", "http://collector/v1/traces?api-key=hunter2"),
    ],
)
def test_every_secret_setting_may_be_in_a_file(tmp_path: Path, name: str, secret: str):
    (tmp_path / "secret").write_text(secret + "\n")
    from_file = {f"{name}_FILE": str(tmp_path / "secret")}
    assert Settings.read(from_file) == Settings.read({name: secret})
    (described,) = [each for each in describe(from_file) if each["name"] == name]
    assert described["source"] == f"{name}_FILE" and "hunter2" not in described["value"]
    assert {name, f"{name}_FILE"} <= {*given_names()}


def test_a_setting_that_is_no_secret_is_not_looked_for_in_a_file():
    assert Settings.read({"SAGA_APP_ID_FILE": "/no/file"}).app_id == "saga"


def test_the_key_must_be_that_of_the_certificate(authority: Authority):
    mine, other = authority.sign("mine"), authority.sign("other")
    given = {"SAGA_SECURITY": "ssl", "SAGA_TLS_CERT": str(mine.certificate), "SAGA_TLS_KEY": str(mine.key)}
    Settings.read(given)
    with pytest.raises(SettingsError, match="not that of the certificate"):
        Settings.read({**given, "SAGA_TLS_KEY": str(other.key)})


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_passphrase(authority: Authority):
    mine = authority.sign("mine", passphrase="hunter2")
    given = {"SAGA_SECURITY": "ssl", "SAGA_TLS_CERT": str(mine.certificate), "SAGA_TLS_KEY": str(mine.key)}
    with pytest.raises(SettingsError, match=r"SAGA_TLS_KEY.*passphrase"):
        Settings.read(given)


def test_a_printed_object_shows_no_secret():
    settings = Settings.read({**USER, "SAGA_DB_URL": "postgresql://saga:hunter2@db/orders"})
    assert "hunter2" not in f"{settings} {settings!r} {settings.security} {settings.security!r}"
