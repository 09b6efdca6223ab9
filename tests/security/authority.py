"""A certificate authority for tests, and what it signs, as PEM files: by the `openssl` command, 3.0 or later."""

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest


class KeyAndCertificate(NamedTuple):
    """A certificate and its key, each a PEM file, and both in one as Kafka's keystores want them."""

    certificate: Path
    key: Path
    both: Path


class Authority:
    """Signs for a day; EC keys, which are made in no time."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        if shutil.which("openssl") is None:
            pytest.skip("there is no openssl command to make certificates with")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._own = self._make(name, "-nodes", "-addext", "basicConstraints=critical,CA:TRUE")
        self.certificate = self._own.certificate

    def sign(self, name: str, alternative: str = "IP:127.0.0.1", passphrase: str = "") -> KeyAndCertificate:
        """A certificate of this name for a server at the `alternative` names, or for a client."""
        signed_by = ("-CA", str(self._own.certificate), "-CAkey", str(self._own.key))
        encrypted = ("-passout", f"pass:{passphrase}") if passphrase else ("-nodes",)
        return self._make(name, *signed_by, *encrypted, "-addext", f"subjectAltName={alternative}")

    def _make(self, name: str, *options: str) -> KeyAndCertificate:
        made = KeyAndCertificate(*(self._folder / f"{name}.{kind}" for kind in ("crt", "key", "pem")))
        algorithm = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
        files = ("-out", str(made.certificate), "-keyout", str(made.key))
        of_whom = ("-subj", f"/CN={name}", "-days", "1")
        command = ["openssl", "req", "-x509", *of_whom, *algorithm, *files, *options]
        subprocess.run(command, check=True, capture_output=True)
        made.both.write_bytes(made.key.read_bytes() + made.certificate.read_bytes())
        return made
