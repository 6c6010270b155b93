"""Which small changes to the code no test notices: a random sample of mutants, each against the tests nearest to it.

Full command, for the rooms that calculate (hours for all places, so a sample a room):

    python -m pip install cosmic-ray
    python tests/mutation/mutants.py elmo_cli/model elmo_cli/metrics elmo_cli/training --sample 25 --out mutants.jsonl

What is mutated is a clone of the last commit, never the files that you work on. A place in the code has one mutant in
the draw, so that an arithmetic operator with its ten replacements does not outweigh the rest. A mutant is killed as
soon as a test fails or hangs: first the module's own tests, then those of its room, then those of `BEYOND`. The file
grows by a line a mutant; a command that is given again goes on where it was cut off.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

REPOSITORY = Path(__file__).resolve().parent.parent.parent
BEYOND = ("tests/test_embedder.py", "tests/inference")  # what runs trained networks as a user does
# Of comparisons with None and of small numbers, `is` and `==` say the same.
SAME = re.compile(r"_(Is_Eq|Eq_Is|IsNot_NotEq|NotEq_IsNot)$")
STAR = re.compile(r"(^|[(,])\s*/,")  # from the star in a signature
SECONDS = 400  # no test file that a mutant is run against takes half as long


class Mutant(NamedTuple):
    """One change at one place of a module."""

    module: str
    operator: str
    occurrence: int  # among the places of the module where the operator applies
    row: int


def mutants(module: str, source: str) -> Iterator[list[Mutant]]:
    """All mutants of a module, by the place in the code that they change."""
    skipped = _annotations(source)
    tree = get_ast(source)
    places: dict[tuple[int, int], list[Mutant]] = defaultdict(list)
    for name in operator_names():
        operator = get_operator(name)
        if operator.arguments() or SAME.search(name):
            continue
        found = (start for node in ast_nodes(tree) for start, _ in operator().mutation_positions(node))
        for occurrence, start in enumerate(found):
            if not any(begin <= start < end for begin, end in skipped):
                places[start].append(Mutant(module, name, occurrence, start[0]))
    yield from places.values()


def _annotations(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Beginning and end of all annotations: they are not evaluated, so nothing can depend on them."""
    nodes: list[ast.expr | None] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            nodes.append(node.returns)
        elif isinstance(node, ast.arg | ast.AnnAssign):
            nodes.append(node.annotation)
    spans = ((node, node.end_lineno, node.end_col_offset) for node in nodes if node is not None)
    return [((node.lineno, node.col_offset), (line or 0, column or 0)) for node, line, column in spans]


def sample(rooms: Sequence[str], skip: Sequence[str], size: int, seed: int) -> list[tuple[Mutant, str]]:
    """So many random mutants a room with the code that they make, in random order, each at a place of its own."""
    generator = random.Random(seed)
    chosen: list[tuple[Mutant, str]] = []
    for room in rooms:
        paths = sorted(path for path in (REPOSITORY / room).rglob("*.py") if path.name not in skip)
        sources = {str(path.relative_to(REPOSITORY)): path.read_text("utf-8") for path in paths}
        places = [place for name, source in sources.items() for place in mutants(name, source)]
        generator.shuffle(places)
        codes = ((mutant, _code(mutant, sources[mutant.module])) for mutant in map(generator.choice, places))
        chosen += islice(((mutant, code) for mutant, code in codes if code), size)
    generator.shuffle(chosen)
    return chosen


def _code(mutant: Mutant, source: str) -> str | None:
    """The changed module; None where that is nothing for a test: it is no Python, or the star of a signature moved."""
    code: str | None = mutate_code(source, get_operator(mutant.operator)(), mutant.occurrence)
    if code is None or STAR.search(code.splitlines()[mutant.row - 1]):
        return None
    try:
        return None if ast.dump(ast.parse(code)) == ast.dump(ast.parse(source)) else code
    except SyntaxError:
        return None


def survives(module: str, copy: Path) -> bool:
    """Whether all tests near a module of the copy pass."""
    path = Path(module)
    room = Path("tests", *path.parts[1:-1])
    near = sorted(str(each.relative_to(copy)) for each in (copy / room).glob(f"test_{path.stem}*.py"))
    rest = [str(Path("tests", path.parts[1])), *(f"--ignore={name}" for name in near)]
    return all(_passes(copy, arguments) for arguments in (near, rest, BEYOND) if arguments)


def _passes(copy: Path, arguments: Sequence[str]) -> bool:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *arguments]
    shared = os.environ.get("ELMO_SHARED", str(REPOSITORY.parent / "shared"))
    environment = {**os.environ, "ELMO_SHARED": shared, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def main() -> None:
    """Sample, mutate, test, and show what survives."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("rooms", nargs="+", help="folders of the package, such as elmo_cli/metrics")
    parser.add_argument("--sample", type=int, default=25, help="mutants a room")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--skip", nargs="*", default=[], help="file names of modules to leave alone")
    parser.add_argument("--out", type=Path, required=True, help="where to write a line a mutant")
    options = parser.parse_args()
    done = [json.loads(line) for line in options.out.open(encoding="utf-8")] if options.out.exists() else []
    known = {tuple(record["mutant"]) for record in done}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(copy)], check=True)
        for mutant, changed in sample(options.rooms, options.skip, options.sample, options.seed):
            if mutant in known:
                continue
            source = (copy / mutant.module).read_text("utf-8")
            began = time.perf_counter()
            (copy / mutant.module).write_text(changed, "utf-8")
            killed = not survives(mutant.module, copy)
            (copy / mutant.module).write_text(source, "utf-8")
            lines = [text.splitlines()[mutant.row - 1].strip() for text in (source, changed)]
            record = {"mutant": mutant, "killed": killed, "lines": lines, "seconds": round(time.perf_counter() - began)}
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
            done.append(record)
            verdict = "killed  " if killed else "SURVIVES"
            sys.stdout.write(f"{verdict} {mutant.module}:{mutant.row} {lines[0]}  ->  {lines[1]}\n")
    for room in ("", *options.rooms):
        count = Counter(record["killed"] for record in done if record["mutant"][0].startswith(room))
        sys.stdout.write(f"{room or 'all'}: {count[True]} of {count.total()} killed\n")


if __name__ == "__main__":
    main()
