"""Unpacks a release: the server, its plugins, and what the server's archive lacks."""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from clipita.opensearch.local.releases import Part, Release

EXTENDED = {"analysis-common": "lang-painless"}
"""Modules that extend another one."""
POLICIES = {
    "lang-painless": """\
grant {
  permission java.lang.RuntimePermission "createClassLoader";
  permission java.lang.RuntimePermission "getClassLoader";
};
""",
    "lang-mustache": """\
grant {
  permission java.lang.RuntimePermission "accessDeclaredMembers";
};
""",
    "reindex": """\
grant {
  permission java.net.SocketPermission "*", "connect";
};
grant codeBase "${codebase.opensearch-rest-client}" {
  permission java.net.NetPermission "getProxySelector";
};
grant codeBase "${codebase.httpasyncclient}" {
  permission java.net.NetPermission "getProxySelector";
};
""",
}
"""What modules may do under the security manager of 2.x."""
RENAMED = {"pytorch-jni": ("jnilib/pytorch.properties", "jni_version=2.5.1-0.31.1\n")}
"""The ML Commons plugin asks for a version of this library that the repository lacks; the next one serves it too."""


def unpack(release: Release, files: Mapping[Part, Path], target: Path) -> None:
    """Unpack the files of a release into the folder `target`, which appears when it is complete."""
    staging = Path(tempfile.mkdtemp(prefix=".unpack-", dir=target.parent))
    try:
        with zipfile.ZipFile(files[release.server]) as archive:
            archive.extractall(staging)
        server = staging / f"opensearch-{release.version}"
        for parts in release.plugins.values():
            _add_plugins(server, [(part, files[part]) for part in parts])
        for name, parts in release.modules.items():
            _add_module(server / "modules" / name, [files[part] for part in parts], release.version)
        for part in release.locales:
            shutil.copyfile(files[part], server / "lib" / part.file_name)
        # Any user may run the server: zipfile drops the execute bits, and the umask may be strict.
        for path in (server, *server.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        server.replace(target)
    finally:
        shutil.rmtree(staging)


def _add_plugins(server: Path, files: list[tuple[Part, Path]]) -> None:
    folder = server / "plugins"
    for part, file in files:
        if part.packaging == "zip":
            with zipfile.ZipFile(file) as archive:
                descriptor = archive.read("plugin-descriptor.properties").decode()
                name = re.search(r"^name=(.+)$", descriptor, re.MULTILINE)
                assert name is not None, f"{part.file_name} names no plugin"
                folder = server / "plugins" / name[1].strip()
                archive.extractall(folder)
        elif part.artifact in RENAMED:
            _replace_entry(file, folder / part.file_name, *RENAMED[part.artifact])
        else:
            shutil.copyfile(file, folder / part.file_name)


def _replace_entry(jar: Path, target: Path, name: str, text: str) -> None:
    with zipfile.ZipFile(jar) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry, text if entry.filename == name else old.read(entry))


def _add_module(folder: Path, jars: list[Path], version: str) -> None:
    """Make the folder of a module that the repository has as jars; the first one holds its class."""
    folder.mkdir()
    for jar in jars:
        shutil.copyfile(jar, folder / jar.name)
    with zipfile.ZipFile(jars[0]) as archive:
        classes = [name.removesuffix(".class") for name in archive.namelist() if name.endswith("Plugin.class")]
    facts = {
        "name": folder.name, "description": folder.name, "version": version, "opensearch.version": version,
        "classname": classes[0].replace("/", "."), "java.version": "11", "custom.foldername": "",
        "extended.plugins": EXTENDED.get(folder.name, ""), "has.native.controller": "false",
    }  # fmt: skip
    lines = "".join(f"{name}={value}\n" for name, value in facts.items())
    (folder / "plugin-descriptor.properties").write_text(lines, encoding="utf-8")
    if folder.name in POLICIES:
        (folder / "plugin-security.policy").write_text(POLICIES[folder.name], encoding="utf-8")
