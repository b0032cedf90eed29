"""The shell scripts that give the cluster its certificates, users and roles, against real TLS."""

from __future__ import annotations

import base64
import json
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

SECURITY = Path(__file__).resolve().parents[2] / "docker" / "security"
pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("bash", "curl", "openssl"))), reason="needs bash, curl and openssl"
)
PASSWORDS = {
    "OPENSEARCH_INITIAL_ADMIN_PASSWORD": 'Adm"in\\pass-1 $x',
    "CLIPITA_INGEST_PASSWORD": 'in"gest\\9',
    "CLIPITA_SEARCH_PASSWORD": "sea rch'ö",
}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    done = subprocess.run(["sh", SECURITY / "certificates.sh", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def cluster(certificates: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Takes requests over TLS with the made certificate. No security plugin can be installed here to take them."""
    requests: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            user = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
            running = "".join(
                file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
                for file in Path("/proc").glob("[0-9]*/cmdline")
                if file.exists()
            )
            requests.append({"path": self.path, "user": user, "body": json.loads(body), "processes": running})
            self.send_response(403 if "nobody" in user else 200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "node.pem", certificates / "node.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://localhost:{server.server_port}", requests
    server.shutdown()
    thread.join()
    server.server_close()


def access(url: str, certificates: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ, **PASSWORDS, "OPENSEARCH_URL": url, "OPENSEARCH_CA": str(certificates / "ca.pem"), **changes
    }  # fmt: skip
    script = ["bash", str(SECURITY / "access.sh")]
    return subprocess.run(script, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_certificates_are_made_once_and_their_authority_cannot_sign_again(certificates: Path) -> None:
    before = (certificates / "node.pem").read_bytes()
    subprocess.run(["sh", SECURITY / "certificates.sh", certificates], check=True)
    assert (certificates / "node.pem").read_bytes() == before
    assert sorted(file.name for file in certificates.iterdir()) == ["ca.pem", "node.key", "node.pem"]
    assert (certificates / "node.key").stat().st_mode & 0o077 == 0
    shown = subprocess.run(
        ["openssl", "x509", "-in", certificates / "node.pem", "-noout", "-text"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in ("localhost", "opensearch", "opensearch-2", "opensearch-3"):
        assert f"DNS:{name}" in shown
    assert "CA:FALSE" in shown


def test_users_and_roles_arrive_whole(cluster: tuple[str, list[dict[str, Any]]], certificates: Path) -> None:
    url, requests = cluster
    done = access(url, certificates, CLIPITA_INDEX="shop")
    assert done.returncode == 0, done.stderr
    assert [request["path"].removeprefix("/_plugins/_security/api/") for request in requests] == [
        "roles/clipita-ingest", "internalusers/clipita-ingest", "roles/clipita-search", "internalusers/clipita-search",
    ]  # fmt: skip
    assert {request["user"] for request in requests} == {f"admin:{PASSWORDS['OPENSEARCH_INITIAL_ADMIN_PASSWORD']}"}
    role, user = requests[0]["body"], requests[1]["body"]
    assert user == {"password": PASSWORDS["CLIPITA_INGEST_PASSWORD"], "opendistro_security_roles": ["clipita-ingest"]}
    assert "shop" in role["index_permissions"][0]["index_patterns"]
    assert requests[3]["body"]["password"] == PASSWORDS["CLIPITA_SEARCH_PASSWORD"]


def test_no_process_list_and_no_output_shows_a_password(
    cluster: tuple[str, list[dict[str, Any]]], certificates: Path
) -> None:
    url, requests = cluster
    done = access(url, certificates)
    for password in PASSWORDS.values():
        assert password not in done.stdout + done.stderr
        assert not any(password in request["processes"] for request in requests)
    assert any("curl" in request["processes"] for request in requests)


def test_failures_are_failures(cluster: tuple[str, list[dict[str, Any]]], certificates: Path, tmp_path: Path) -> None:
    url, requests = cluster
    assert access(url, certificates, OPENSEARCH_INITIAL_ADMIN_PASSWORD="nobody").returncode != 0
    assert len(requests) == 1
    assert access(url, certificates, CLIPITA_INDEX="a/../_all").returncode == 2
    assert access(url, certificates, CLIPITA_SEARCH_PASSWORD="").returncode != 0
    other = tmp_path / "ca.pem"
    shutil.copy(ssl.get_default_verify_paths().cafile or certificates / "node.pem", other)
    assert access(url, certificates, OPENSEARCH_CA=str(other)).returncode != 0
