"""The process of the local node: its user, its launch, and how it is recognised later."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipita.errors import LocalNodeError
from clipita.files import boot_id, start_ticks, write_atomically
from clipita.opensearch.local.java import Java
from clipita.opensearch.local.releases import VERSION

STATE_NAME = "state.json"
CONSOLE_NAME = "console.log"
FOLDERS = ("config", "data", "logs", "tmp")
POLL_SECONDS = 0.2
NOBODY = 65534

# Prints the first path that the user may not use, of (test option, path) pairs.
PROBE = 'while [ $# -gt 0 ]; do test "$1" "$2" || { echo "$2"; exit 1; }; shift 2; done'
# The node becomes an orphan at once and init adopts it, so a long-lived Python program need not wait for a child.
LAUNCH = 'console=$1; shift; exec "$@" >"$console" 2>&1 </dev/null & echo $!'


@dataclass(frozen=True)
class State:
    """Content of state.json; `url` is None until the node answered for the first time.

    `started` (see `files.start_ticks`) and `boot` distinguish the node from a later process with the same id.
    """

    pid: int
    started: int
    boot: str
    url: str | None
    java: str
    heap: str
    version: str = VERSION


@dataclass(frozen=True)
class RunAs:
    """How the node runs: with a command prefix (user namespace), as another user, or as this user."""

    prefix: tuple[str, ...] = ()
    user: int | None = None
    group: int | None = None

    def run(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; another user must not inherit root's groups."""
        return subprocess.run(
            command, capture_output=True, text=True, user=self.user, group=self.group,
            extra_groups=None if self.user is None else [], **options,
        )  # fmt: skip

    def __str__(self) -> str:
        if self.prefix:
            return "a user namespace"
        return "this user" if self.user is None else f"user {self.user}"


def read_state(home: Path) -> State | None:
    """Content of state.json, whether the process still runs or not; None if it is missing or unreadable.

    If the node of an unreadable file still runs, OpenSearch's lock on the data folder prevents a second one.
    """
    try:
        return State(**json.loads((home / STATE_NAME).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write_state(home: Path, state: State) -> None:
    """Write state.json atomically."""
    write_atomically(home / STATE_NAME, (json.dumps(dataclasses.asdict(state), indent=2) + "\n").encode())


def clear_state(home: Path, pid: int) -> None:
    """Remove state.json, unless it describes another process by now."""
    state = read_state(home)
    if state is not None and state.pid == pid:
        (home / STATE_NAME).unlink(missing_ok=True)


def is_alive(state: State) -> bool:
    """Whether the process runs and is the one that was started: process ids are reused."""
    return state.boot == boot_id() and start_ticks(state.pid) == state.started


def send_signal(state: State, number: signal.Signals) -> None:
    """Signal the node if it is alive.

    Raises:
        LocalNodeError: the process belongs to another user.
    """
    if not is_alive(state):
        return
    try:
        os.kill(state.pid, number)
    except ProcessLookupError:
        return
    except PermissionError:
        raise LocalNodeError(
            f"The process {state.pid} of the node belongs to another user.", hint="Stop it as the user who started it."
        ) from None


def wait_for_end(state: State, seconds: float) -> bool:
    """Wait until the process has ended; False if it still runs after that time."""
    deadline = time.monotonic() + seconds
    while is_alive(state):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def launch(server: Path, home: Path, java: Java, heap: str, version: str = VERSION) -> State:
    """Start `bin/opensearch` in its own session, so that Ctrl-C in a terminal does not reach it.

    Raises:
        LocalNodeError: the process ended at once, or this is root and OpenSearch cannot run as another user.
    """
    run_as = _choose_user(server, home, java)
    console = home / "logs" / CONSOLE_NAME
    started = run_as.run(
        ["/bin/sh", "-c", LAUNCH, "sh", str(console), *run_as.prefix, str(server / "bin" / "opensearch")],
        check=True, start_new_session=True, cwd=server, env=_environment(home, java),
    )  # fmt: skip
    pid = int(started.stdout)
    ticks = start_ticks(pid)
    if ticks is None:
        raise LocalNodeError(f"OpenSearch ended at once: {tail(console, 5) or 'it wrote nothing'}")
    return State(pid, ticks, boot_id(), None, str(java), heap, version)


def tail(file: Path, lines: int) -> str:
    """The last lines of a text file; empty if there is no such file."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def _environment(home: Path, java: Java) -> dict[str, str]:
    """A small environment, without the JAVA_OPTS and passwords of the caller."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "OPENSEARCH_JAVA_HOME": str(java.home),
        "OPENSEARCH_PATH_CONF": str(home / "config"),
    }
    temporary = str(home / "tmp")
    # bin/opensearch splits Java options at blanks; without the variable it makes a folder under /tmp.
    if len(temporary.split()) == 1:
        environment["OPENSEARCH_TMPDIR"] = temporary
    return environment


def _choose_user(server: Path, home: Path, java: Java) -> RunAs:
    """OpenSearch refuses to run as root: find a user that can access all it needs.

    A user namespace is best: the node sees itself as user 1000, its files stay root's, and it can enter folders that
    only root can enter. Many containers forbid namespaces; then the owner of a parent folder is tried, then nobody.
    """
    if os.geteuid() != 0:
        return RunAs()
    refusals = []
    for run_as in _candidates(home):
        _give_folders(home, run_as)
        refusal = _probe(server, home, java, run_as)
        if refusal is None:
            return run_as
        refusals.append(f"{run_as}: {refusal}")
    raise LocalNodeError(
        f"OpenSearch does not run as root, and it cannot run as another user here ({'; '.join(refusals)}).",
        hint="Run clipita as an ordinary user, allow user namespaces, or choose folders that any user can enter: "
        "CLIPITA_OPENSEARCH_HOME for the node, CLIPITA_CACHE for the server, OPENSEARCH_JAVA_HOME for Java.",
    )


def _candidates(home: Path) -> Iterator[RunAs]:
    unshare = shutil.which("unshare")
    if unshare is not None:
        yield RunAs(prefix=(unshare, "--user", "--map-user=1000", "--map-group=1000"))
    owners = [folder.stat() for folder in home.parents]
    yield from (RunAs(user=owner.st_uid, group=owner.st_gid) for owner in owners if owner.st_uid not in (0, NOBODY))
    yield RunAs(user=NOBODY, group=NOBODY)


def _give_folders(home: Path, run_as: RunAs) -> None:
    user, group = run_as.user or 0, run_as.group or 0
    roots = [home / name for name in FOLDERS]
    for path in [home, *roots, *(path for root in roots for path in root.rglob("*"))]:
        if path.lstat().st_uid != user:
            os.chown(path, user, group, follow_symlinks=False)


def _probe(server: Path, home: Path, java: Java, run_as: RunAs) -> str | None:
    needed = ["-x", str(java.binary), "-x", str(server / "bin" / "opensearch"), "-r", str(server / "lib")]
    for name in FOLDERS:
        needed += ["-w", str(home / name)]
    answer = run_as.run([*run_as.prefix, "/bin/sh", "-c", PROBE, "sh", *needed], check=False, cwd="/")
    if answer.returncode == 0:
        return None
    return f"no access to {answer.stdout.strip()}" if answer.stdout else answer.stderr.strip() or "not allowed"
