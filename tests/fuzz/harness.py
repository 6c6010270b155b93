"""Reads damaged files for so many seconds a reader, in a process of its own; says what was not an error of ours.

    python tests/fuzz/harness.py SECONDS SEED [READER ...]

A line of JSON for each reader: how many inputs, which findings, how much memory. A crash ends only the process of its
reader. An input that is a finding is kept in `findings/`, beside what it is of.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent))

from mutations import mutate
from targets import TARGETS, Target

from elmo_cli.errors import ElmoError

LONGEST = 5.0  # seconds of the processor for an input
MOST_MEGABYTES = 1000  # of memory that all inputs of a reader take beyond what whole files take
MOST_FINDINGS = 20


def fuzz(name: str, seconds: float, seed: int, keep: Path | None) -> dict[str, Any]:
    """Read damaged files of a reader until the time is over."""
    target, draw = TARGETS[name], random.Random(f"{name} {seed}")
    with tempfile.TemporaryDirectory(prefix="elmo-fuzz-") as made:
        folder = Path(made)
        whole, work = folder / "whole", folder / "work"
        whole.mkdir()
        target.write(whole)
        shutil.copytree(whole, work)
        target.read(work)  # a whole file is read
        before = peak()
        ends = time.monotonic() + seconds
        inputs, read, findings = 0, 0, {}
        while inputs < 10 or (time.monotonic() < ends and len(findings) < MOST_FINDINGS):
            inputs += 1
            changed = draw.choice(target.names)
            damaged = mutate((whole / changed).read_bytes(), draw)
            if target.changes:
                shutil.rmtree(work, ignore_errors=True)
                shutil.copytree(whole, work)
            (work / changed).write_bytes(damaged)
            found = attempt(target, work)
            read += found == "read"
            if found not in ("read", "refused") and found not in findings:
                findings[found] = changed
                if keep is not None:
                    keep.mkdir(exist_ok=True, parents=True)
                    (keep / f"{name} {len(findings)} {Path(changed).name}".replace(" ", "-")).write_bytes(damaged)
            if not target.changes:
                shutil.copyfile(whole / changed, work / changed)
    return {"reader": name, "inputs": inputs, "read": read, "megabytes": peak() - before, "findings": list(findings)}


def attempt(target: Target, folder: Path) -> str:
    """How reading a folder ends: `read`, `refused`, or what should not have been."""
    began = time.process_time()
    faulthandler.dump_traceback_later(4 * LONGEST, exit=True)
    try:
        target.read(folder)
        found = "read"
    except ElmoError as error:
        found = "refused"
        if len(str(error)) > 20_000:
            found = f"a message of {len(str(error)) // 1000} thousand characters: {str(error)[:80]!r}"
    except Exception as error:
        last = [frame for frame in traceback.extract_tb(error.__traceback__) if "elmo_cli" in frame.filename]
        place = f"{Path(last[-1].filename).name}, line {last[-1].lineno}" if last else "no place of ours"
        found = f"{type(error).__name__} in {place}: {str(error)[:100]}"
    finally:
        faulthandler.cancel_dump_traceback_later()
    took = time.process_time() - began
    return found if took < LONGEST else f"{took:.0f} seconds, {found}"


def say(found: dict[str, Any]) -> None:
    """Write a line of JSON."""
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def peak() -> int:
    """The most memory that this process had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def main(seconds: float, seed: int, names: list[str], keep: Path | None) -> None:
    """Fuzz readers one after the other, each in a process that is forked off."""
    warnings.simplefilter("ignore")
    logging.disable()
    for name in names or TARGETS:
        sys.stdout.flush()
        process = os.fork()
        if process == 0:
            say(fuzz(name, seconds, seed, keep))
            os._exit(0)
        _, status = os.waitpid(process, 0)
        if status:
            crash = f"the process ended with {os.waitstatus_to_exitcode(status)}"
            say({"reader": name, "inputs": 0, "read": 0, "megabytes": 0, "findings": [crash]})


if __name__ == "__main__":
    folder = os.environ.get("ELMO_FUZZ_FINDINGS")
    main(float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:], Path(folder) if folder else None)
