"""Fuzz whatever takes input from outside, see fuzz_targets.py and fuzz_outside.py, with inputs that Hypothesis draws.

    python benchmarks/fuzz.py --target images --inputs 100000

A crash is any exception but a ClipItaError; a hang is more than one second of processor time for one input. Each is
printed with its input and kept in build/fuzz. The result goes to benchmarks/results/fuzz-TARGET.json; the exit code
is 1 when anything was found.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from fuzz_targets import TARGETS
from hypothesis import HealthCheck, Phase, given, seed, settings
from record import ROOT, provenance, write

from clipita.errors import ClipItaError

LIMIT = 1.0
ROUND = 5_000
FOUND = ROOT / "build" / "fuzz"


class Hang(BaseException):
    """One input took too long; not an Exception, so that no handler of the code under test takes it."""


class Fuzz:
    """One target, fed until it has had enough inputs.

    Attributes:
        inputs: how many it got; Hypothesis never says how many of them are alike.
        distinct: how many different ones, by hash.
        outcomes: `accepted`, or the class of the error.
        slowest: processor seconds.
        findings: crashes and hangs, by the kind and the last line of the traceback.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.strategy, self.run = TARGETS[name](folder)
        self.inputs = 0
        self.seen: set[bytes] = set()
        self.outcomes: Counter[str] = Counter()
        self.slowest = 0.0
        self.findings: Counter[str] = Counter()

    def feed(self, inputs: int, first_seed: int, seconds: float) -> None:
        """Draw inputs in rounds, each with its own seed, until there are enough or the time is over."""
        signal.signal(signal.SIGPROF, _too_long)
        end = time.monotonic() + seconds
        number = 0
        while self.inputs < inputs and time.monotonic() < end:
            self._round(min(ROUND, inputs - self.inputs), first_seed + number)
            number += 1

    def _round(self, inputs: int, number: int) -> None:
        @seed(number)
        @settings(max_examples=inputs, deadline=None, database=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(self.strategy)
        def one(case: Any) -> None:
            self.try_one(case)

        one()

    def try_one(self, case: Any) -> None:
        """Run one input, and note what comes of it."""
        self.inputs += 1
        self.seen.add(hashlib.blake2b(repr(case).encode("utf-8", "surrogatepass"), digest_size=8).digest())
        # What waits without computing, or never returns to Python, ends the whole run with a traceback.
        faulthandler.dump_traceback_later(20, exit=True)
        signal.setitimer(signal.ITIMER_PROF, LIMIT)
        started = time.process_time()
        try:
            self.run(case)
            outcome = "accepted"
        except ClipItaError as error:
            outcome = type(error).__name__
        except Hang:
            outcome = "hang"
            self._keep("hang", case)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            where = traceback.extract_tb(error.__traceback__)[-1]
            outcome = "crash"
            self._keep(f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}: {error}"[:200], case)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            faulthandler.cancel_dump_traceback_later()
        self.slowest = max(self.slowest, time.process_time() - started)
        self.outcomes[outcome] += 1

    def _keep(self, what: str, case: Any) -> None:
        self.findings[what] += 1
        if self.findings[what] == 1:
            FOUND.mkdir(parents=True, exist_ok=True)
            file = FOUND / f"{self.name}-{len(self.findings)}.txt"
            file.write_text(f"{what}\n{case!r}\n", encoding="utf-8", errors="backslashreplace")
            print(f"{what}\n  input in {file}", file=sys.stderr)


def _too_long(*_: object) -> None:
    raise Hang


def main() -> int:
    """Feed one target, and record what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True, choices=TARGETS)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=3600, help="stop after so long, with fewer inputs")
    parser.add_argument("--no-record", action="store_true", help="print the result only")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        fuzz = Fuzz(options.target, Path(folder))
        started = time.monotonic()
        fuzz.feed(options.inputs, options.seed, options.seconds)
    result = {
        "target": options.target,
        "inputs": fuzz.inputs,
        "distinct": len(fuzz.seen),
        "outcomes": dict(fuzz.outcomes.most_common()),
        "crashes": sum(count for what, count in fuzz.findings.items() if what != "hang"),
        "hangs": fuzz.findings["hang"],
        "findings": dict(fuzz.findings),
        "slowest_input_s": round(fuzz.slowest, 3),
        "wall_s": round(time.monotonic() - started, 1),
    }
    print(result)
    if not options.no_record:
        packages = ("hypothesis", "pillow", "pyarrow", "orjson")
        write(f"fuzz-{options.target}", {"provenance": provenance(packages, []), **result})
    return 1 if result["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
