"""docker/compose.yaml against the Compose specification, and against what it promises."""

from __future__ import annotations

import itertools
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from clipita.cli.demo import steps
from clipita.config import load

DOCKER = Path(__file__).resolve().parents[2] / "docker"
COMPOSE = DOCKER / "compose.yaml"
OURS = {"certificates", "shop", "storefront", "storefront-gpu"}
NODES = {"opensearch", "opensearch-2", "opensearch-3"}


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    return found


def test_it_follows_the_compose_specification() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_wrong_compose_file_would_be_noticed(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(COMPOSE.read_text(encoding="utf-8").replace("restart:", "restrat:"), encoding="utf-8")
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(wrong)]
    assert subprocess.run(check, capture_output=True, check=False).returncode != 0


def test_what_runs_without_a_profile_is_the_whole_shop(services: dict[str, dict[str, Any]]) -> None:
    assert {name for name, service in services.items() if "profiles" not in service} == {
        "certificates", "opensearch", "access", "shop", "storefront",
    }  # fmt: skip
    assert {name for name, service in services.items() if service.get("profiles") == ["cluster"]} == NODES - {
        "opensearch"
    }
    assert services["storefront-gpu"]["profiles"] == ["gpu"]
    order = ["storefront", "shop", "access", "opensearch", "certificates"]
    for later, earlier in itertools.pairwise(order):
        assert earlier in services[later]["depends_on"], f"{later} does not wait for {earlier}"


@pytest.mark.parametrize("name", sorted(OURS))
def test_our_containers_are_confined(services: dict[str, dict[str, Any]], name: str) -> None:
    service = services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert any(mount.startswith("/tmp") for mount in service["tmpfs"])
    assert not service.get("privileged")
    assert not any("docker.sock" in volume for volume in service.get("volumes", []))


def test_ports_open_on_this_machine_alone(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_no_password_stands_in_the_file_and_none_has_a_default(services: dict[str, dict[str, Any]]) -> None:
    secrets = [
        (name, key, value)
        for name, service in services.items()
        for key, value in service.get("environment", {}).items()
        if "PASSWORD" in key
    ]
    assert len(secrets) == 9
    for name, key, value in secrets:
        assert re.fullmatch(r"\$\{\w+:\?.+\}", value), f"{name} {key} must be required, and come from outside"
    known = {
        line.split("=")[0].lstrip("# ") for line in (DOCKER / "env.example").read_text().splitlines() if "=" in line
    }
    assert set(re.findall(r"\$\{(\w+)", COMPOSE.read_text(encoding="utf-8"))) == known


def test_images_name_a_version(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        built = "build" in service
        assert built or re.search(r":\d+\.\d+\.\d+$", service["image"]), f"{name}: {service['image']}"


def test_everything_mounted_from_here_is_here(services: dict[str, dict[str, Any]]) -> None:
    volumes = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["volumes"]
    for name, service in services.items():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith("."):
                assert (DOCKER / source).is_dir(), f"{name}: {source}"
            else:
                assert source in volumes, f"{name}: {source}"
        for word in [*service.get("entrypoint", []), *service.get("healthcheck", {}).get("test", [])]:
            if word.startswith(("/opt/security/", "/opt/scripts/")):
                script = word.rpartition("/")[2]
                assert (DOCKER / "security" / script).is_file() or (DOCKER / script).is_file(), word


def test_nodes_trust_each_other_by_our_certificates(services: dict[str, dict[str, Any]]) -> None:
    for name in NODES:
        environment = services[name]["environment"]
        assert environment["node.name"] == name
        assert environment["plugins.security.ssl.http.enabled"] == "true"
        assert environment["DISABLE_INSTALL_DEMO_CONFIG"] == "true"
        assert name in environment["discovery.seed_hosts"].split(",")
        # OpenSearch splits settings at commas: a name of more than one part would become a list of wrong ones.
        assert "," not in environment["plugins.security.nodes_dn"]


def test_the_settings_given_to_clipita_are_settings(services: dict[str, dict[str, Any]]) -> None:
    for name in OURS - {"certificates"}:
        given = {key: "1" if value.startswith("${") else value for key, value in services[name]["environment"].items()}
        config = load(None, {key: value for key, value in given.items() if key.startswith("CLIPITA_OPENSEARCH_")})
        assert config.opensearch.url == "https://opensearch:9200"
        assert config.opensearch.username in ("clipita-ingest", "clipita-search")
        assert (DOCKER / "security" / "roles" / f"{config.opensearch.username}.json").is_file()


def test_the_shop_runs_the_demos_commands() -> None:
    lines = (DOCKER / "shop.sh").read_text(encoding="utf-8").splitlines()
    written = [
        shlex.split(line.partition("clipita ")[2]) for line in lines if re.search(r"^(.*\|\| | *)clipita ", line)
    ]
    demo = {step.arguments[0]: list(step.arguments) for step in steps(4000, 7)}
    assert [words for words in written if words[0] == "train"] == [demo["train"]]
    assert [words[0] for words in written] == ["sample", "init", "train", "export-onnx", "ingest", "search", "evaluate"]
