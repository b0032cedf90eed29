"""What hostile input and bad luck do: kills, spoilt answers, fuzzed input, a soak on several nodes, memory and delay.

    make trust                                             (trains and exports small models by itself)
    python benchmarks/trust.py --only kill --kills 50      (one part; several with several --only)

Each part writes its result into benchmarks/results/trust.json as it ends, with the command and the commit that made it,
so that a run may be split. Exits 1 if an aim of the parts that were run is not reached. The whole takes about two hours
on two cores.
"""

from __future__ import annotations

import ingest_shop
import trust_faults
import trust_fuzz
import trust_hostile
import trust_limits
import trust_soak

PARTS: dict[str, ingest_shop.Part] = {
    "kill": trust_faults.kill,
    "node": trust_faults.node,
    "proxy": trust_faults.proxy,
    "hostile": trust_hostile.hostile,
    "fuzz": trust_fuzz.fuzz,
    "limits": trust_limits.limits,
    "soak": trust_soak.soak,
}


def main() -> int:
    """Run the parts; gives the exit code."""
    parser = ingest_shop.parser_of(__doc__, PARTS)
    parser.add_argument("--products", type=int, default=30_000, help="real products that hostile rows are made of")
    parser.add_argument("--fault-products", type=int, default=600, help="real products of kill, node, proxy and soak")
    parser.add_argument("--kills", type=int, default=50, help="runs that are killed")
    parser.add_argument("--node-kills", type=int, default=20)
    parser.add_argument("--hostile-rows", type=int, default=10_000)
    parser.add_argument("--inputs", type=int, default=502_000, help="fuzzed inputs, of all targets together")
    parser.add_argument("--minutes", type=float, default=30, help="length of the soak")
    return ingest_shop.run_parts("trust", PARTS, parser.parse_args())


if __name__ == "__main__":
    raise SystemExit(main())
