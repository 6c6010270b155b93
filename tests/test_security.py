"""SECURITY.md names the tests that keep its promises, and they are there."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parent
PROMISES = (TESTS.parent / "SECURITY.md").read_text(encoding="utf-8").split("## What is not promised")[0]


def test_every_promise_is_kept_by_tests_that_exist() -> None:
    named = re.findall(r"\(`(test_\w+\.py)[^)]*\)", PROMISES)
    assert len(named) >= 12
    for group in re.findall(r"\((`test_\w+\.py[^)]*)\)", PROMISES):
        content = ""
        for part in re.findall(r"`([^`]*)`", group):
            file, _, test = part.rpartition(": ") if ": " in part else ("", "", part)
            if part.endswith(".py") or file:
                (path,) = TESTS.rglob(file or part)
                content = path.read_text(encoding="utf-8")
            if not part.endswith(".py"):
                assert f"def {test}(" in content, part
