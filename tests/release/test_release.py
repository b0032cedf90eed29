"""The bill of materials, the licences and the audit of what the serving image installs."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "docker" / "requirements" / "cpu.txt"
BIN = Path(sys.executable).parent
FREE = re.compile(r"\b(MIT|MIT-0|MIT-CMU|Apache|BSD|0BSD|ISC|PSF|Python Software Foundation|MPL|HPND|Unlicense|Zlib)\b")
COPYLEFT = re.compile(r"\b(A?GPL|GNU (Affero )?General Public|SSPL|BUSL|Proprietary)")


def locked() -> dict[str, str]:
    return dict(re.findall(r"(?m)^([\w.-]+)==([\w.]+)", LOCK.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def release() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", ROOT / "docker" / "release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_bill_of_materials_holds_every_package_with_its_hash(release: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("cyclonedx_py", reason="needs the dependency group `release`")
    release.bill_of_materials(ROOT, tmp_path / "sbom.json")
    bill = json.loads((tmp_path / "sbom.json").read_text(encoding="utf-8"))
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "clipita"
    found = {component["name"]: component for component in bill["components"]}
    assert {name: component["version"] for name, component in found.items()} == locked()
    assert all(component["externalReferences"][0]["hashes"] for component in found.values())


def test_the_changelog_must_know_the_version(release: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "clipita"\nversion = "9.8.7"\n')
    (tmp_path / "CHANGELOG.md").write_text("## 9.8.70\n")
    with pytest.raises(SystemExit, match=r"9\.8\.7"):
        release.version_to_release(tmp_path)
    assert release.version_to_release(ROOT)


def test_checksums_are_those_of_sha256sum(release: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.whl").write_bytes(b"abc")
    (tmp_path / "b.json").write_bytes(b"")
    release.checksums(tmp_path)
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path, check=True, capture_output=True)


def licence(name: str) -> str | None:
    try:
        about = metadata(name)
    except PackageNotFoundError:
        return None
    classifiers = [line for line in about.get_all("Classifier") or [] if line.startswith("License ::")]
    return " ".join([about.get("License-Expression") or "", *classifiers, (about.get("License") or "")[:200]]).strip()


def test_licences_are_permissive() -> None:
    licences = {name: licence(name) for name in locked()}
    known = {name: text for name, text in licences.items() if text is not None}
    # The rest are extras that this environment lacks; `make audit` lists them from an environment of their own.
    assert len(known) > 40
    for name, text in known.items():
        assert FREE.search(text), f"{name}: {text or 'no licence is told'}"
        assert not COPYLEFT.search(text.replace("LGPL", "")), f"{name}: {text}"


@pytest.mark.slow
def test_no_locked_package_has_a_known_vulnerability() -> None:
    audit = BIN / "pip-audit"
    if not audit.exists():
        pytest.skip("pip-audit is not installed: it is in the dependency group `release`")
    command = [
        str(audit),
        "-r",
        str(LOCK),
        "--disable-pip",
        "--require-hashes",
        "-f",
        "json",
        "--progress-spinner",
        "off",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if not done.stdout.strip():
        pytest.skip(f"no vulnerability data can be had here: {done.stderr.strip().splitlines()[-1:]}")
    packages = json.loads(done.stdout)["dependencies"]
    if all("skip_reason" in package for package in packages):
        pytest.skip(f"the index answers for none of {len(packages)} packages: {packages[0]['skip_reason']}")
    vulnerable = {package["name"]: package["vulns"] for package in packages if package.get("vulns")}
    assert vulnerable == {}
