"""Takes the pictures of the storyboard in docs/img/: `python -m docs.screenshots`.

Rehearses a copy of Sharing Lille on five networks, and looks at the page in Debian's Chromium.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image

from pipeline import app
from pipeline.settings import Settings

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs/img"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
CHANNELS = """\
channels:
  x: {}
  mastodon: {instance: "https://mastodon.example"}
  bluesky: {handle: sharing-lille.example}
  facebook: {page: "104293874629"}
  presse: {network: webhook, url: "https://example.org/crochet"}
"""
# name, width, height, scheme; the colours of flat drawings fit into a palette, which makes the files small
VIEWS = [("storyboard", 1280, 1812, "light"), ("storyboard-mobile-dark", 390, 844, "dark")]


def rehearsed(folder: Path) -> Path:
    """The storyboard of a copy of the project made there."""
    for name in ("content", "schedules"):
        shutil.copytree(ROOT / name, folder / name)
    campaign = folder / "schedules/sharing-lille.yaml"
    text, count = re.subn(r"(?m)^channels:\n(  .*\n)*", CHANNELS, campaign.read_text(encoding="utf-8"))
    if count != 1:
        sys.exit(f"{campaign.name} has no channels to replace")
    campaign.write_text(text, encoding="utf-8")
    app.rehearse_project(Settings(folder, f"sqlite:///{folder}/ledger.db"), folder / "out")
    return folder / "out/storyboard.html"


def take(page: Path, chromium: str) -> None:
    """Look at the page, and write what is seen."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - says that it is missing in its own words

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for name, width, height, scheme in VIEWS:
            shown = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
            )
            shown.goto(page.as_uri())
            if width < 1280:  # the beginning is on the other picture
                shown.evaluate("document.querySelector('.day').scrollIntoView()")
            path = FOLDER / f"{name}.png"
            shown.screenshot(path=path, scale="css")
            Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
            print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")
        browser.close()


def main() -> None:
    """Take them all."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("no Chromium here (Debian: apt-get install chromium)")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        take(rehearsed(Path(folder)), chromium)


if __name__ == "__main__":
    main()
