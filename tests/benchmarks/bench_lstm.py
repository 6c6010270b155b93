"""A training step of the LSTM kernel beside torch's `nn.LSTM` and the machine's best square product.

    python tests/benchmarks/bench_lstm.py [--quick] [--case NAME ...] [--way NAME ...] [--threads N] [--clock wall|cpu]

A training step is forward and backward of one layer, gradients of inputs and weights included, for G directions: ours
in one call, theirs in one `nn.LSTM` for each, in float32 and under bfloat16 autocast. Theirs knows neither clips nor
resets, so ours runs without them too; "+clips +resets" has both. Ours runs its steps in C++, or with "in torch" as it
does without a compiler. All ways of a case take turns in one process; the median counts, and the spread is that between
the quartiles. The ratio is to the faster of theirs. The share is that of the best square product of the same run, in
the precision of this way's products; above 1 where that product goes through a slower library (float32 on some CPUs).
The clock `cpu` counts the time of the process, for a busy machine; it wants one thread.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from word_lm import lstm_autocasts

from elmo_cli.model.kernel import native_library
from elmo_cli.model.kernel.layer import LstmWeights
from elmo_cli.model.kernel.lstm import lstm

RESULTS = Path(__file__).parent / "results" / "lstm.json"
RIVALS = ("nn.LSTM", "nn.LSTM autocast")  # the second where torch has it
RESET_RATE = 0.04  # sentences of 25 tokens


@dataclass(frozen=True)
class Case:
    """Sizes of a training step; `projection` None is an LSTM without one."""

    name: str
    batch: int
    steps: int
    inputs: int
    cells: int
    projection: int | None
    repetitions: int

    @property
    def operations(self) -> int:
        """Of the matrix products of one direction, forward and backward."""
        width = self.projection or self.cells
        products = (self.inputs + width) * 4 * self.cells + (self.cells * width if self.projection else 0)
        return 3 * 2 * self.batch * self.steps * products


CASES = [
    Case("tiny", 16, 24, 32, 32, None, 101),
    Case("small", 32, 48, 256, 256, None, 31),
    Case("base", 64, 48, 256, 1024, 256, 9),
    Case("256", 64, 40, 256, 256, None, 31),
    Case("512", 128, 40, 512, 512, None, 15),
    Case("1024-256", 64, 40, 256, 1024, 256, 9),
    Case("4096-512", 128, 20, 512, 4096, 512, 5),
]


def machine() -> dict[str, object]:
    """What the figures depend on."""
    model = platform.processor()
    flags: set[str] = set()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        facts = dict(line.split(":", 1) for line in lines if ":" in line)
        cleaned = {key.strip(): value.strip() for key, value in facts.items()}
        model = f"{cleaned.get('model name')}, family {cleaned.get('cpu family')}, model {cleaned.get('model')}"
        flags = set(cleaned.get("flags", "").split())
    return {
        "cpu": model,
        "bfloat16": sorted(flags & {"avx512_bf16", "amx_bf16"}),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "compiler": native_library.obstacle() or "present",
    }


def best_square(clock: Callable[[], float], dtype: torch.dtype, quick: bool) -> float:
    """Operations a second of the better of two square products."""
    best = 0.0
    for size in (1024, 2048) if quick else (2048, 4096):
        left, right = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
        torch.mm(left, right)
        for _ in range(5):
            start = clock()
            torch.mm(left, right)
            best = max(best, 2 * size**3 / (clock() - start))
    return best


def ways(case: Case, directions: int) -> dict[str, Callable[[], None]]:
    """Each way to do the training step, by name."""
    torch.manual_seed(1)
    width = case.projection or case.cells
    inputs = torch.randn(directions, case.batch, case.steps, case.inputs, requires_grad=True)
    upstream = torch.randn(directions, case.batch, case.steps, width)
    reset = torch.rand(case.batch, case.steps) < RESET_RATE

    def draw(*shape: int) -> Tensor:
        return (torch.randn(shape) * 0.05).requires_grad_()

    four = 4 * case.cells
    projection = draw(directions, case.cells, width) if case.projection else None
    weights = LstmWeights(
        draw(directions, case.inputs, four), draw(directions, width, four), draw(directions, four), projection
    )
    theirs = [
        nn.LSTM(case.inputs, case.cells, batch_first=True, proj_size=case.projection or 0) for _ in range(directions)
    ]

    def their_step(autocast: bool) -> None:
        inputs.grad = None
        for direction, module in enumerate(theirs):
            module.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                outputs = module(inputs[direction])[0]
            outputs.backward(upstream[direction].to(outputs.dtype))

    def our_step(precision: str, native_loop: bool, whole: bool) -> None:
        inputs.grad = None
        for weight in weights:
            if weight is not None:
                weight.grad = None
        options = {"reset": reset, "cell_clip": 3.0, "projection_clip": 3.0} if whole else {}
        lstm(inputs, weights, precision=precision, native_loop=native_loop, **options)[0].backward(upstream)

    found: dict[str, Callable[[], None]] = {"nn.LSTM": lambda: their_step(False)}
    if lstm_autocasts():
        found["nn.LSTM autocast"] = lambda: their_step(True)
    for native_loop in (True, False) if native_library.obstacle() is None else (False,):
        for precision in ("float32", "bfloat16"):
            name = precision + ("" if native_loop else " in torch")
            found[name] = lambda precision=precision, loop=native_loop: our_step(precision, loop, False)
            found[name + " +clips +resets"] = lambda p=precision, loop=native_loop: our_step(p, loop, True)
    return found


def measure(
    case: Case,
    directions: int,
    only: list[str] | None,
    clock: Callable[[], float],
    peaks: dict[str, float],
    quick: bool,
) -> list[dict[str, object]]:
    """One row for each way."""
    steps = {name: step for name, step in ways(case, directions).items() if name in (*RIVALS, *(only or [name]))}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
        step()
    for _ in range(max(3, case.repetitions // 5) if quick else case.repetitions):
        for name, step in steps.items():
            start = clock()
            step()
            times[name].append(clock() - start)
    rows: list[dict[str, object]] = []
    theirs = min(statistics.median(times[name]) for name in RIVALS if name in times)
    for name, values in times.items():
        low, median, high = statistics.quantiles(values, n=4)
        speed = case.operations * directions / median
        rows.append(
            {
                "case": asdict(case),
                "directions": directions,
                "way": name,
                "milliseconds": round(median * 1e3, 3),
                "fastest": round(min(values) * 1e3, 3),
                "spread": round((high - low) / median, 3),
                "ratio": round(theirs / median, 2),
                "ratio_of_fastest": round(min(min(times[name]) for name in RIVALS if name in times) / min(values), 2),
                "gigaflops": round(speed / 1e9, 1),
                "share": round(speed / peaks["bfloat16" if "bfloat16" in name or "autocast" in name else "float32"], 3),
            }
        )
    return rows


def _line(case: Case, directions: int, row: dict[str, object]) -> str:
    speed = f"{row['milliseconds']:10.2f} ms ±{row['spread']:6.1%}  {row['ratio']:5.2f}x"
    more = f"(fastest {row['ratio_of_fastest']:5.2f}x)  share {row['share']:.2f}"
    return f"{case.name:9} G={directions} {row['way']:34} {speed} {more}\n"


def main() -> None:
    """Measure, print a table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="a fifth of the repetitions; writes no results but to --out"
    )
    parser.add_argument("--case", nargs="*", help="only these cases")
    parser.add_argument("--way", nargs="*", help="only these ways, and the rivals")
    parser.add_argument("--directions", nargs="*", type=int, default=[2, 1])
    parser.add_argument("--threads", type=int, help="default: as torch finds")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--out", type=Path, help=f"default: {RESULTS.name} beside, for a full run")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
    clock = time.perf_counter if given.clock == "wall" else time.process_time
    peaks = {str(d).removeprefix("torch."): best_square(clock, d, given.quick) for d in (torch.float32, torch.bfloat16)}
    description = {**machine(), "clock": given.clock, "peaks": {n: round(p / 1e9, 1) for n, p in peaks.items()}}
    sys.stdout.write(json.dumps(description, indent=1) + "\n")
    rows: list[dict[str, object]] = []
    for case in CASES:
        if given.case and case.name not in given.case:
            continue
        for directions in given.directions:
            for row in measure(case, directions, given.way, clock, peaks, given.quick):
                rows.append(row)
                sys.stdout.write(_line(case, directions, row))
                sys.stdout.flush()
    out = given.out or (None if given.quick or given.case or given.way else RESULTS)
    if out is not None:
        out.parent.mkdir(exist_ok=True)
        out.write_text(json.dumps({"machine": description, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
