"""The page in a real browser: no error, no request, and no wider than a telephone."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from made_runs import classifier, full_comparison, language_model

from elmo_cli.report.page import write_report

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--enable-logging=stderr"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"),
    "--host-resolver-rules=MAP * ~NOTFOUND",  # no name is found: neither page nor browser reaches anything
)
# Measures the page in a frame, as a window may refuse to be as narrow; what is in a box that scrolls is not counted.
MEASURE = """<!doctype html><title>measuring</title>
<body style="margin: 0"><iframe style="border: 0; width: {width}px; height: 800px" srcdoc="{page}"></iframe>
<script>
window.onload = () => {{
  const frame = document.querySelector("iframe").contentWindow, page = frame.document.documentElement;
  const found = {{
    scrolled: page.scrollWidth,
    visible: page.clientWidth,
    texts: page.querySelectorAll("svg text").length,
    fetched: frame.performance.getEntriesByType("resource").map(entry => entry.name),
    paper: frame.getComputedStyle(page).getPropertyValue("--paper").trim(),
  }};
  document.body.innerHTML = "<pre id=measured>" + JSON.stringify(found) + "</pre>";
}};
</script>"""


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser on the path: {', '.join(BROWSERS)}")
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page with all there is, everything that can be opened open."""
    folder = tmp_path_factory.mktemp("report")
    models = (language_model(folder / "lm"), classifier(folder / ("classify" * 12)))
    write_report([full_comparison(folder / "compare"), *models], folder / "report.html")
    text = (folder / "report.html").read_text(encoding="utf-8")
    return text.replace("<details ", "<details open ")


def run(browser: str, profile: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [browser, *FLAGS, f"--user-data-dir={profile}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def measure(browser: str, text: str, folder: Path, width: int = 360, scheme: str = "light") -> dict[str, Any]:
    """What a browser finds in a page of some width."""
    framed = folder / "framed.html"
    framed.write_text(MEASURE.format(width=width, page=html.escape(text)), encoding="utf-8")
    preference = f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}"
    done = run(browser, folder / "profile", preference, "--window-size=1400,900", "--dump-dom", framed.as_uri())
    found = re.search(r'id="measured">({.*?})<', done.stdout)
    assert found, done.stdout[-500:]
    measured: dict[str, Any] = json.loads(html.unescape(found[1]))
    return {**measured, "console": re.findall(r":CONSOLE.*", done.stderr)}


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_as_a_browser_finds_it(browser: str, page: str, tmp_path: Path, width: int, scheme: str) -> None:
    found = measure(browser, page, tmp_path, width, scheme)
    assert found["console"] == []
    assert found["fetched"] == []
    assert found["scrolled"] == found["visible"] == width
    assert found["texts"] > 100
    assert (found["paper"] == "#ffffff") == (scheme == "light")


def test_a_comparison_of_five_rows_is_printed_on_few_pages(browser: str, page: str, tmp_path: Path) -> None:
    write_report([full_comparison(tmp_path / "compare")], tmp_path / "report.html")
    printed = tmp_path / "report.pdf"
    uri = (tmp_path / "report.html").as_uri()
    run(browser, tmp_path / "profile", "--no-pdf-header-footer", f"--print-to-pdf={printed}", uri)
    assert len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes())) <= 8


def test_the_measure_would_notice(browser: str, page: str, tmp_path: Path) -> None:
    fetching = '<body><div style="width: 700px">wide</div><img src="http://elmo.invalid/x.png"><script>lost()</script>'
    without_policy = re.sub(r"<meta http-equiv[^>]*>", "", page)
    found = measure(browser, without_policy.replace("<body>", fetching), tmp_path)
    assert found["scrolled"] > 360
    assert found["fetched"] == ["http://elmo.invalid/x.png"]
    assert "lost is not defined" in found["console"][0]
    # And the page's own policy would let neither run.
    guarded = measure(browser, page.replace("<body>", fetching), tmp_path)
    assert not any("lost is not defined" in line for line in guarded["console"])
    assert "Content Security Policy" in guarded["console"][0]
