"""The connection through nginx with TLS, client certificates and basic authentication, to the real node."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clipita.errors import AuthenticationError, ClusterUnavailableError, ConfigError, MissingExtraError
from clipita.opensearch.cluster.connection import capabilities, connect, connect_async
from clipita.opensearch.cluster.tracing import RUN, opaque

pytestmark = pytest.mark.integration


def test_with_everything_right_the_node_answers(proxy: Any) -> None:
    client = connect(proxy.config())
    assert capabilities(client).knn
    user, method, _, status, _ = proxy.last_request(RUN)
    assert (user, method, status) == ("clipita-ingest", "GET", 200)
    client.close()


def test_the_asynchronous_client_too(proxy: Any) -> None:
    async def ask() -> Any:
        client = connect_async(proxy.config())
        try:
            with opaque("web request 7\n"):
                return await client.info()
        finally:
            await client.close()

    assert asyncio.run(ask())["version"]["distribution"] == "opensearch"
    assert proxy.last_request("web_request_7_")[1:4] == ("GET", "/", 200)


def test_a_password_file_and_a_certificate_in_one_file(proxy: Any, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(proxy.config().password + "\n", encoding="utf-8")
    both = tmp_path / "client-and-key.pem"
    both.write_bytes((proxy.folder / "client.key").read_bytes() + (proxy.folder / "client.pem").read_bytes())
    settings = proxy.config(
        password=None, password_file=tmp_path / "password", client_cert=both, client_key=None,
        allowed_hosts=("*.internal", "127.0.0.1"),
    )  # fmt: skip
    connect(settings).close()


def test_without_verification_the_client_certificate_is_still_sent(proxy: Any) -> None:
    connect(proxy.config(ca_certs=None, verify_certs=False)).close()


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"password": "wrong"}, AuthenticationError, "refuses the user or password"),
        ({"username": None, "password": None}, AuthenticationError, "refuses the user or password"),
        ({"username": "nobody"}, AuthenticationError, "lacks a permission"),
        ({"ca_certs": None}, ClusterUnavailableError, "is not trusted"),
        ({"client_cert": None, "client_key": None}, AuthenticationError, "requires a client certificate"),
        (
            {"client_cert": "stranger.pem", "client_key": "stranger.key"},
            AuthenticationError,
            "requires a client certificate",
        ),
        ({"client_key": "stranger.key"}, ConfigError, "cannot be used: KEY_VALUES_MISMATCH"),
        ({"client_cert": None}, ConfigError, "client_key is given without client_cert"),
        ({"client_cert": "absent.pem"}, ConfigError, "no client certificate or key"),
        ({"client_cert": "users"}, ConfigError, "client certificate .* cannot be used"),
        ({"ca_certs": "users"}, ConfigError, "CA certificate .* cannot be used"),
        ({"allowed_hosts": ("search.internal", "127.0.0.1:1")}, ConfigError, "not among allowed_hosts"),
    ],
)
def test_what_is_wrong_is_said(proxy: Any, changes: dict[str, Any], error: type[Exception], text: str) -> None:
    names = ("ca_certs", "client_cert", "client_key")
    paths = {name: proxy.folder / value for name, value in changes.items() if name in names and value is not None}
    sent = len(proxy.requests())
    with pytest.raises(error, match=text) as caught:
        connect(proxy.config(**{**changes, **paths}))
    assert type(caught.value) is error
    if error is ConfigError:
        assert len(proxy.requests()) == sent


def test_an_encrypted_key_wants_its_passphrase_and_never_a_terminal(proxy: Any, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key((proxy.folder / "client.key").read_bytes(), None)
    encrypted = tmp_path / "client.key"
    locked = serialization.BestAvailableEncryption(b"open sesame")
    form = serialization.PrivateFormat.PKCS8
    encrypted.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, locked))
    connect(proxy.config(client_key=encrypted, client_key_password="open sesame")).close()
    with pytest.raises(ConfigError, match="no passphrase is given"):
        connect(proxy.config(client_key=encrypted))
    with pytest.raises(ConfigError, match="cannot be used"):
        connect(proxy.config(client_key=encrypted, client_key_password="wrong"))


def test_old_tls_is_refused(proxy: Any) -> None:
    import ssl

    from clipita.opensearch.cluster.credentials import tls_context

    assert tls_context(proxy.config()).minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_password_does_not_travel_unencrypted_to_another_machine(proxy: Any) -> None:
    with pytest.raises(ConfigError, match="would travel unencrypted"):
        connect(proxy.config(url="http://search.invalid:9200"))


def test_the_keyring_gives_the_password(proxy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring
    from keyring.backend import KeyringBackend

    class Memory(KeyringBackend):
        """A backend of the real keyring package: a container has no system keyring to unlock."""

        priority = 1  # type: ignore[assignment]

        def get_password(self, service: str, username: str) -> str | None:
            return proxy.config().password if (service, username) == ("shop", "clipita-ingest") else None

        def set_password(self, service: str, username: str, password: str) -> None:
            raise NotImplementedError

    before = keyring.get_keyring()
    keyring.set_keyring(Memory())
    try:
        connect(proxy.config(password=None, password_keyring="shop")).close()
        with pytest.raises(ConfigError, match="keyring set other clipita-ingest"):
            connect(proxy.config(password=None, password_keyring="other"))
    finally:
        keyring.set_keyring(before)


@pytest.mark.parametrize(
    ("settings", "module", "extra"),
    [({"password": None, "password_keyring": "shop"}, "keyring", "keyring"),
     ({"username": None, "password": None, "aws_region": "eu-central-1"}, "boto3", "aws")],
)  # fmt: skip
def test_a_missing_extra_names_its_pip_line(
    proxy: Any, settings: dict[str, Any], module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"clipita\[{extra}\]"):
        connect(proxy.config(**settings))


def test_a_password_on_the_command_line_is_refused(tmp_path: Path) -> None:
    url = "https://anna:planted-9c1e@127.0.0.1:1"
    command = [sys.executable, "-m", "clipita.cli", "search", "shoes", "--url", url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert "process list" in done.stderr
    assert "planted-9c1e" not in done.stderr + done.stdout
