"""How a release is laid out on the disk, from archives as small as they can be; real ones boot in other tests."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

from clipita.opensearch.local.layout import unpack
from clipita.opensearch.local.releases import Part, find_release


def archive(file: Path, **entries: str) -> Path:
    with zipfile.ZipFile(file, "w") as packed:
        for name, text in entries.items():
            packed.writestr(name.replace("__", "/"), text)
    return file


def part(artifact: str, packaging: str = "jar", version: str = "1.0") -> Part:
    return Part(artifact, "org.example", artifact, version, packaging, "0" * 64)


def test_plugins_and_modules_get_folders_of_their_own(tmp_path: Path) -> None:
    server, plugin, native = part("opensearch", "zip"), part("ml", "zip"), part("pytorch-jni")
    module, beside = part("lang-mustache-client"), part("compiler")
    release = replace(
        find_release("2.13.0"),
        server=server,
        plugins={"ml": (plugin, native)},
        modules={"lang-mustache": (module, beside)},
    )
    descriptor = {"plugin-descriptor.properties": "description=d\nname=opensearch-ml\n", "a.jar": ""}
    files = {
        server: archive(
            tmp_path / "s.zip",
            **{f"opensearch-2.13.0__{name}": "" for name in ("bin__opensearch", "modules__x", "plugins__x", "lib__x")},
        ),
        plugin: archive(tmp_path / "p.zip", **descriptor),
        native: archive(
            tmp_path / "n.jar", **{"jnilib__pytorch.properties": "jni_version=2.5.1-0.32.0", "lib.so": "x"}
        ),
        module: archive(tmp_path / "m-1.0.jar", **{"org__a__MustachePlugin.class": "", "org__a__Other.class": ""}),
        beside: archive(tmp_path / "compiler-1.0.jar"),
    }
    target = tmp_path / "made"
    unpack(release, files, target)
    assert (target / "bin" / "opensearch").stat().st_mode & 0o777 == 0o755
    assert (target / "plugins" / "opensearch-ml" / "a.jar").exists()
    with zipfile.ZipFile(target / "plugins" / "opensearch-ml" / "pytorch-jni-1.0.jar") as changed:
        assert changed.read("jnilib/pytorch.properties") == b"jni_version=2.5.1-0.31.1\n"
        assert changed.read("lib.so") == b"x"
    made = target / "modules" / "lang-mustache"
    assert "classname=org.a.MustachePlugin\n" in (made / "plugin-descriptor.properties").read_text()
    assert "accessDeclaredMembers" in (made / "plugin-security.policy").read_text()
    assert sorted(path.name for path in made.glob("*.jar")) == ["compiler-1.0.jar", "m-1.0.jar"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".unpack")] == []
