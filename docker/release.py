"""Build what a release consists of into dist/: wheel, source archive, bill of materials, checksums. Publishes nothing.

python docker/release.py
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent


def version_to_release(root: Path) -> str:
    """The version of pyproject.toml, which the changelog must know.

    Raises:
        SystemExit: the changelog has no such heading.
    """
    version = str(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
    if not re.search(rf"(?m)^## \[?{re.escape(version)}\b", (root / "CHANGELOG.md").read_text(encoding="utf-8")):
        raise SystemExit(f"CHANGELOG.md has no heading for {version}.")
    return version


def build(root: Path, target: Path) -> None:
    """Wheel and source archive of a clean copy, so that nothing left lying in build/ gets in."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "source"
        subprocess.run(["git", "clone", "--quiet", str(root), str(copy)], check=True)
        uv = [str(BIN / "uv"), "build", "--quiet", "--out-dir", str(target), "--python", sys.executable, str(copy)]
        subprocess.run(uv, check=True)


def bill_of_materials(root: Path, target: Path) -> None:
    """CycloneDX, of the packages that the serving image locks.

    https://cyclonedx.org/specification/overview/
    """
    command = [
        str(BIN / "cyclonedx-py"), "requirements", str(root / "docker" / "requirements" / "cpu.txt"),
        "--pyproject", str(root / "pyproject.toml"), "--output-reproducible", "--of", "JSON", "-o", str(target),
    ]  # fmt: skip
    subprocess.run(command, check=True)


def checksums(folder: Path) -> Path:
    """SHA256SUMS of all files of a folder, as `sha256sum --check` reads them."""
    file = folder / "SHA256SUMS"
    lines = [
        f"{hashlib.sha256(made.read_bytes()).hexdigest()}  {made.name}\n"
        for made in sorted(folder.iterdir())
        if made.name not in (file.name, ".gitignore")
    ]
    file.write_text("".join(lines), encoding="utf-8")
    return file


def try_wheel(wheel: Path, version: str) -> None:
    """Install the wheel into an empty environment, and ask it for its version."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [str(Path(folder) / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", str(wheel)]
        subprocess.run(pip, check=True)
        clipita = [str(Path(folder) / "bin" / "clipita"), "--version"]
        said = subprocess.run(clipita, check=True, capture_output=True, text=True, cwd=folder).stdout
    if version not in said:
        raise SystemExit(f"The wheel says {said.strip()}, not {version}.")


def main() -> None:
    """Refuse an unclean checkout, then make everything anew."""
    changed = subprocess.run(
        ["git", "-C", str(ROOT), "status", "--porcelain"], check=True, capture_output=True, text=True
    )
    if changed.stdout.strip():
        raise SystemExit(f"There are changes that are not committed:\n{changed.stdout}")
    version = version_to_release(ROOT)
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    build(ROOT, dist)
    try_wheel(next(dist.glob("*.whl")), version)
    bill_of_materials(ROOT, dist / f"clipita-{version}.cdx.json")
    print(checksums(dist).read_text(encoding="utf-8"), end="")
    print(f"Set the tag with: git tag --sign v{version}")


if __name__ == "__main__":
    main()
