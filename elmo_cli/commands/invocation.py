"""How the user ran this program, for what is printed to be typed next."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path


def program(elsewhere: bool = False) -> str:
    """What runs this program again from the user's shell: `elmo`, or the path or module that it was run by.

    Args:
        elsewhere: Whether it will be typed in another folder, where a relative path leads nowhere.
    """
    script = Path(sys.argv[0])
    if script.parts[-2:] == ("elmo_cli", "__main__.py"):  # the interpreter and its options stand before the arguments
        words = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1]
    elif script.stem == "elmo" and script.is_file() and not _is_found(script):
        words = [sys.argv[0]]
    else:
        words = ["elmo"]
    if elsewhere and os.path.dirname(words[0]):
        words[0] = os.path.abspath(words[0])  # not resolved: where the link leads is outside of the environment
    return shlex.join(words)


def _is_found(script: Path) -> bool:
    """Whether the shell finds the script by its name alone."""
    found = shutil.which(script.name)
    return found is not None and script.samefile(found)


def next_steps(folder: Path, *commands: str) -> list[str]:
    """What to type next to go on in a folder, if anything, as the user's shell takes it."""
    here = folder.resolve() == Path.cwd()
    way = [] if here else [shlex.join(["cd", str(folder)])]
    steps = [*way, *(f"{program(elsewhere=not here)} {command}" for command in commands)]
    return [f"next: {', then '.join(steps)}"] if steps else []
