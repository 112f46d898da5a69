"""Where a server listens, and with what certificate."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bertcompress.errors import RunError, UsageError
from bertcompress.serve.settings import ServeSettings
from bertcompress.serve.sockets import address_of, check_tls, listening


def test_the_address_is_as_clients_type_it() -> None:
    for host, shown in (("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("localhost", "127.0.0.1")):
        settings = ServeSettings(host=host, port=0)
        with listening(settings) as listener:
            port = listener.getsockname()[1]
            address = address_of(listener, settings)
        assert address in (f"http://{shown}:{port}", f"http://[::1]:{port}")


def test_an_address_that_is_nowhere_is_refused() -> None:
    with (
        pytest.raises(RunError, match="can't listen on"),
        listening(ServeSettings(host="no.such.host.invalid")),
    ):
        pass


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
def test_certificates_are_looked_at_first(tmp_path: Path) -> None:
    paths = [tmp_path / "a.pem", tmp_path / "a.key", tmp_path / "b.pem", tmp_path / "b.key"]
    for chain, key in (paths[:2], paths[2:]):
        words = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout"
        subprocess.run([*words.split(), str(key), "-out", str(chain)], check=True)
    check_tls(ServeSettings(tls_certificate=paths[0], tls_key=paths[1]))
    with pytest.raises(UsageError, match="are no certificate and its key"):
        check_tls(ServeSettings(tls_certificate=paths[0], tls_key=paths[3]))
    with pytest.raises(UsageError, match="is no file"):
        check_tls(ServeSettings(tls_certificate=paths[0], tls_key=tmp_path / "none"))
