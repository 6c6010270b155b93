"""A Dask cluster, started here: the same answers as on one machine, whatever becomes of its parts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, wait
from pathlib import Path
from typing import Any

import pytest
from compareworld import change
from test_train import results_of
from typer.testing import CliRunner

from elmo_cli import dask_cluster
from elmo_cli.cluster import on_cluster, pool
from elmo_cli.commands.app import app
from elmo_cli.comparison.compare import compare_run
from elmo_cli.config import Experiment, TokenizerSettings
from elmo_cli.dask_cluster import DaskExecutor
from elmo_cli.errors import ConfigError, DataError, ElmoError
from elmo_cli.events import ClassifierDone, Event
from elmo_cli.text.parallel import encode_chunks

distributed = pytest.importorskip("distributed")


class Cluster:
    """A scheduler and two workers of one thread, whose working directory is another one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.scheduler = self._start("scheduler", "--port", "0", "--scheduler-file", "scheduler.json")
        # The file is there before all of it is.
        while not (text := self._read("scheduler.json").strip()).endswith("}"):
            time.sleep(0.05)
        self.address = text.partition('"address": "')[2].partition('"')[0]
        self.workers = [self.add_worker(), self.add_worker()]
        with distributed.Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)

    def add_worker(self) -> subprocess.Popen[bytes]:
        return self._start("worker", self.address, "--nthreads", "1", "--no-nanny")

    def end(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    def _read(self, name: str) -> str:
        path = self._folder / name
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def _start(self, part: str, *arguments: str) -> subprocess.Popen[bytes]:
        module = f"distributed.cli.dask_{part}"
        command = [sys.executable, "-m", module, "--host", "127.0.0.1", "--no-dashboard", *arguments]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        with (self._folder / f"{part}.log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=self._folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    found = Cluster(tmp_path_factory.mktemp("cluster"))
    yield found
    found.end()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster to break."""
    (tmp_path / "cluster").mkdir()
    found = Cluster(tmp_path / "cluster")
    yield found
    found.end()


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums are in the order that the workers add up in."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(dask_cluster, "CONNECT_SECONDS", 2)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def few(world: Experiment) -> Experiment:
    """A comparison of five classifiers."""
    return change(world, "compare", lambdas=("trainable",), baselines=world.compare.baselines[:1])


def compared(experiment: Experiment, cluster: Cluster, **more: object) -> list[Event]:
    with on_cluster(cluster.address):
        return list(compare_run(experiment, **more))


def test_a_comparison_on_a_cluster_is_that_of_one_machine(few: Experiment, cluster: Cluster) -> None:
    single = results_of(list(compare_run(few, few.output / "single")))
    assert results_of(compared(few, cluster)) == single


def test_relative_paths_are_those_of_here(few: Experiment, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(few.output.parent)
    here = Path()
    data = {"train": here / few.data.train.name, "test": here / few.data.test.name}
    lms = (here / "runs" / "lm",)
    baselines = tuple(here / path.name for path in few.compare.baselines)
    near = change(change(few, "data", **data), "compare", lms=lms, baselines=baselines, seeds=1)
    near = near.model_copy(update={"output": here / "runs"})
    assert results_of(compared(near, cluster)) == results_of(list(compare_run(near, here / "runs" / "single")))


def test_a_worker_that_dies_costs_its_piece_which_is_done_again(few: Experiment, own: Cluster) -> None:
    single = results_of(list(compare_run(few, few.output / "single")))
    done = 0
    with on_cluster(own.address):
        events = []
        for event in compare_run(few):
            events.append(event)
            done += isinstance(event, ClassifierDone)
            if done == 1:
                own.workers[0].kill()
    assert results_of(events) == single


def test_a_scheduler_that_dies_ends_the_comparison_and_another_goes_on(
    few: Experiment, own: Cluster, cluster: Cluster
) -> None:
    def lose() -> None:
        for event in compare_run(few):
            if isinstance(event, ClassifierDone):
                own.scheduler.send_signal(signal.SIGKILL)

    with on_cluster(own.address), pytest.raises(ElmoError, match=r"the Dask scheduler at .* is gone") as caught:
        lose()
    assert "--resume" in str(caught.value)
    single = results_of(list(compare_run(few, few.output / "single")))
    events = compared(few, cluster, resume=True)
    assert results_of(events) == single
    assert sum(isinstance(event, ClassifierDone) for event in events) < 5


def test_a_worker_that_reads_other_files_is_found_out(
    few: Experiment, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = DaskExecutor.submit

    def spoil(*given: object, **more: object) -> object:
        with few.data.test.open("a", encoding="utf-8") as file:
            file.write("sports,team\n")
        return submit(*given, **more)

    monkeypatch.setattr(DaskExecutor, "submit", spoil)
    with pytest.raises(DataError, match="reads other files") as caught:
        compared(few, cluster)
    assert "file system that all machines share" in str(caught.value)


def test_text_is_tokenised_by_a_cluster_as_here(cluster: Cluster, own: Cluster) -> None:
    texts = [f"tokens of the text {number} and more" for number in range(90_000)]
    settings, notes = TokenizerSettings(), []

    def tokenised(workers: int) -> list[tuple[object, ...]]:
        parts = encode_chunks(iter(texts), settings, workers, notes.append)
        return [(list(part.types), part.tokens.tolist(), part.offsets.tolist()) for part in parts]

    here = tokenised(1)
    assert len(here) > 2
    with on_cluster(cluster.address):
        assert tokenised(2) == here
    assert not notes
    with on_cluster(own.address):
        parts = encode_chunks(iter(texts), settings, 2, notes.append)
        first = next(parts)
        own.scheduler.kill()
        rest = [(list(part.types), part.tokens.tolist(), part.offsets.tolist()) for part in (first, *parts)]
    assert rest == here
    assert notes


def test_what_a_cluster_cannot_do(cluster: Cluster, own: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    with on_cluster("tcp://127.0.0.1:9"), pytest.raises(ConfigError, match="no Dask scheduler answers"), pool(1, 1):
        pass
    with on_cluster("nowhere"), pytest.raises(ConfigError, match="no Dask scheduler answers"), pool(1, 1):
        pass
    monkeypatch.setattr(dask_cluster, "__version__", "0.0")
    with on_cluster(cluster.address), pytest.raises(ConfigError, match="has elmo"), pool(1, 1):
        pass
    monkeypatch.undo()
    with on_cluster(cluster.address), pool(1, 1) as executor, pytest.raises(ValueError, match="invalid literal"):
        executor.submit(int, "three").result()
    for worker in own.workers:
        worker.kill()
        worker.wait()
    with on_cluster(own.address), pytest.raises(ConfigError, match="no worker"), pool(1, 1):
        pass


def test_a_client_whose_thread_was_late_is_made_again(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    start = distributed.Client.start
    calls = 0

    def late(client: Any, **options: Any) -> None:
        nonlocal calls
        calls += 1
        assert calls > 1  # as distributed says where its thread has not started in ten seconds
        start(client, **options)

    monkeypatch.setattr(distributed.Client, "start", late)
    with on_cluster(cluster.address), pool(1, 1) as executor:
        assert executor.submit(int, "3").result() == 3
    assert calls == 2


def test_work_that_kills_its_workers_ends(own: Cluster) -> None:
    with on_cluster(own.address), pool(1, 1) as executor:
        deadly = executor.submit(os._exit, 1)
        for _ in range(4):  # Dask gives it to so many
            own.workers.append(own.add_worker())
        wait([deadly], timeout=60)
        with pytest.raises(BrokenExecutor, match="died"):
            deadly.result()


def test_the_option(few: Experiment, cluster: Cluster) -> None:
    arguments = ["compare", str(few.data.train), "--test", str(few.data.test), "--lm", str(few.output / "lm")]
    more = ["--baseline", str(few.compare.baselines[0]), "--seeds", "1", "--lambdas", "layer:0", "--no-reference"]
    out = ["--out", str(few.output / "clustered"), "--set", "classify.epochs=1", "--set", "compare.bootstrap=100"]
    found = CliRunner().invoke(app, [*arguments, *more, *out], env={"ELMO_CLUSTER": cluster.address})
    assert found.exit_code == 0, found.output
    assert f"on the Dask cluster at {cluster.address}" in found.output
