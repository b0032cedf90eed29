"""Ingest on the real catalogue, against a real local node: speed and memory. What faults do to it: trust.py.

    make bench-ingest                                      (trains and exports a small model by itself)
    python benchmarks/ingest.py --bundle model             (a model that is there)
    python benchmarks/ingest.py --bundle model --only host

Each part writes its result into benchmarks/results/ingest.json as it ends, with the command and the commit that made
it, so that a run may be split. All ratios come from one part, with the sides taking turns. Exits 1 if a figure of the
parts that were run is not reached. The whole is laid out for half an hour on two idle cores.
"""

from __future__ import annotations

import ingest_memory
import ingest_shop
import ingest_speed

PARTS: dict[str, ingest_shop.Part] = {
    "encoder": ingest_speed.encoder,
    "host": ingest_speed.host,
    "unchanged": ingest_speed.unchanged,
    "memory": ingest_memory.memory,
}


def main() -> int:
    """Run the parts; gives the exit code."""
    parser = ingest_shop.parser_of(__doc__, PARTS)
    parser.add_argument("--products", type=int, default=30_000, help="real products of unchanged")
    parser.add_argument("--encoder-products", type=int, default=10_000, help="real products of the encoder's ratio")
    parser.add_argument("--host-products", type=int, default=30_000, help="real products of the host side's ratio")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side of a ratio is timed")
    parser.add_argument("--memory-products", type=int, default=1_000_000, help="generated products of the memory curve")
    return ingest_shop.run_parts("ingest", PARTS, parser.parse_args())


if __name__ == "__main__":
    raise SystemExit(main())
