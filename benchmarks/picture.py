"""Takes the README's picture: the top of the report that `clipita demo` leaves, in a real browser.

    make demo && python benchmarks/picture.py

Writes docs/assets/report.webp. Needs /usr/bin/chromium and the dependency group `browser`.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import record
from PIL import Image
from playwright.sync_api import sync_playwright

PICTURE = record.ROOT / "docs" / "assets" / "report.webp"
CHROMIUM = Path("/usr/bin/chromium")
LIMIT_BYTES = 200_000


def main() -> int:
    """Take it; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", type=Path, default=Path("demo/report.html"))
    parser.add_argument("--query", default="Closed Shoes", help="the query whose results are shown")
    parser.add_argument("--width", type=int, default=1200)
    parser.add_argument("--height", type=int, default=640)
    parser.add_argument("--out", type=Path, default=PICTURE)
    options = parser.parse_args()
    if not options.report.is_file():
        parser.error(f"{options.report} is not there: run `make demo` first, or name another")
    shot = screenshot(options.report, options.query, options.width, options.height)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    Image.open(io.BytesIO(shot)).convert("RGB").save(options.out, "WEBP", quality=82, method=6)
    size = options.out.stat().st_size
    print(f"{options.out}: {size:,} bytes")
    return int(size > LIMIT_BYTES)


def screenshot(report: Path, query: str, width: int, height: int) -> bytes:
    """PNG of the window, scrolled to the query, whose hits are unfolded."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto(report.resolve().as_uri())
        hits = page.locator("details").filter(has=page.get_by_text(query, exact=True)).first
        hits.evaluate("element => { element.open = true; element.scrollIntoView({block: 'start'}); }")
        page.wait_for_timeout(500)
        picture = page.screenshot()
        browser.close()
    return picture


if __name__ == "__main__":
    sys.exit(main())
