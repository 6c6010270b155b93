"""What `elmo tag` does: read and check, train, score, write the run."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

from elmo_cli.config import Experiment
from elmo_cli.config.choices import Scheme
from elmo_cli.data.files import fingerprint
from elmo_cli.data.tag_set import UNSEEN
from elmo_cli.devices import pick_device
from elmo_cli.embedder import Embedder
from elmo_cli.events import Event, Finished, Notice, Stop, Stopped, never
from elmo_cli.metrics.tagging import TagScores, tag_scores
from elmo_cli.model.tagger import Tagger
from elmo_cli.runs import RESULTS_FILE, WEIGHTS_FILE, RunWriter, describe_files, load_lm, save_tagger
from elmo_cli.runs.cards import Fact, write_card
from elmo_cli.training.cache import ActivationCache, make_cache
from elmo_cli.training.finetune import Finetuned, FinetuneResults, finetune
from elmo_cli.training.labelled import refuse_seen_test
from elmo_cli.training.tag_objective import Numbers, tag_sentences
from elmo_cli.training.tagged import TagFiles, TaggedCorpus, read_tag_files

STOPPED = "stopped: the best epoch so far is saved; `elmo evaluate` gives the scores that are missing"
PREDICTIONS_FILE = "predictions.conll"


@dataclass(frozen=True)
class TaggerResults:
    """`results.json` of a tagger."""

    lm: str  # name of the run that it stands on
    mode: str  # how layers are combined
    tune: bool
    head: str  # crf or linear
    scheme: Scheme  # of the training file's tags
    tags: tuple[str, ...]  # types of spans, or plain tags
    training: FinetuneResults  # its figures stand among these
    # On all of a file, by role: `train`, `valid` where it is a file, and `test`; none if it was stopped.
    scores: dict[str, TagScores]

    def as_dict(self) -> dict[str, Any]:
        """As `results.json` holds it."""
        head = {name: getattr(self, name) for name in ("lm", "mode", "tune", "head", "scheme")}
        scores = {f"{role}_scores": one.as_dict() for role, one in self.scores.items()}
        return {**head, "tags": list(self.tags), **asdict(self.training), **scores}


def tag_run(
    experiment: Experiment,
    lm: Path | None = None,
    out: Path | None = None,
    *,
    overwrite: bool = False,
    device: str = "auto",
    stop: Stop = never,
) -> Generator[Event, None, None]:
    """Train a tagger on an LM run, and write it as a run that holds its biLM.

    Args:
        experiment: `data.train`, `data.test` (may be absent: no test scores), `tag` and the seed.
        lm: The LM run; None: `lm` in the folder of the runs.
        out: The run; None: `tag-MODE` in the folder of the runs.
        overwrite: Replace a run that is there.
        device: Where to compute, or `auto`.
        stop: Asked before each step; the best epoch so far is then saved, without scores of whole files. Before the
            first epoch is done, nothing is.

    Yields:
        The events of `finetune`, a `Notice` of what was read, at last `Finished` with what `results.json` holds, or
        `Stopped`.

    Raises:
        InputError: An input cannot be used.
    """
    settings, lm = experiment.tag, lm or experiment.output / "lm"
    out = out or experiment.output / settings.run_name
    last: Finished | Stopped
    with RunWriter(out, "tagger", "elmo tag", overwrite=overwrite) as writer:
        where, embedder = pick_device(device), load_lm(lm)
        files = read_tag_files(experiment, embedder.tokenizer)
        if files.test:
            refuse_seen_test(lm, files.test.path)
        _describe(writer, experiment, files, embedder, lm)
        yield from map(Notice, _reading_notes(files))
        learned, parts = files.learned
        cache = make_cache(embedder, learned.corpus, settings, where, folder=out.parent)
        trained = yield from finetune(
            embedder,
            learned,
            settings,
            seed=experiment.seed,
            parts=parts,
            device=where,
            stop=stop,
            cache=cache,
            log=writer.log,
        )
        if isinstance(trained, Stopped):
            writer.abandon()
            last = trained
        else:
            results = _write(writer, experiment, embedder, files, trained, cache, where)
            if trained.results.stopped:
                yield Notice(STOPPED)
            last = Stopped(trained.results.epochs) if trained.results.stopped else Finished(results.as_dict())
    # Only now is the run in its place, whatever the consumer does with the last event.
    yield last


def score_tagger(corpus: TaggedCorpus, tagged: Sequence[Numbers], words: frozenset[str]) -> TagScores:
    """Scores of a tagger's tags, beside those of the file, in the file's own scheme."""
    guesses = [corpus.tag_set.decode(one.tolist()) for one in tagged]
    truth = [one.tags for one in corpus.sentences]
    return tag_scores(truth, guesses, corpus.known(words), spans=corpus.tag_set.marks_spans)


def _describe(writer: RunWriter, experiment: Experiment, files: TagFiles, embedder: Embedder, lm: Path) -> None:
    writer.describe(
        experiment.model_dump(include={"seed", "data", "tag"}),
        {role: describe_files([one.path]) for role, one in files.by_role.items()},
        {
            "columns": {one.path.name: one.columns for one in files.by_role.values()},
            "lm": {"name": embedder.name, "fingerprint": fingerprint(lm / WEIGHTS_FILE)},
        },
    )


def _reading_notes(files: TagFiles) -> list[str]:
    """What the user should know of how files were read: columns, and the scheme that was found."""
    train = files.train
    scheme = f"spans in {train.tag_set.scheme.upper()}" if train.tag_set.marks_spans else "plain tags"
    notes = [
        f"{one.path.name}: tokens in column {one.columns['tokens']}, tags in column {one.columns['tags']}"
        for one in files.by_role.values()
    ]
    return [f"{notes[0]}, {scheme}", *notes[1:], *filter(None, map(unseen_note, files.by_role.values()))]


def unseen_note(corpus: TaggedCorpus) -> str | None:
    """What to tell of tags that training never saw, which no tagger can find; None where there are none."""
    unseen = np.flatnonzero(corpus.tags == UNSEEN)
    if not len(unseen):
        return None
    tags = list(chain.from_iterable(one.tags for one in corpus.sentences))
    kinds = sorted({corpus.tag_set.kind_of(tags[place]) for place in unseen.tolist()})
    named = ", ".join(kinds[:5]) + (", ..." if len(kinds) > 5 else "")
    return (
        f"{len(unseen)} of {len(tags):,} tokens of {corpus.path.name} have tags that training never saw ({named}); "
        "they count as wrong"
    )


def _write(
    writer: RunWriter,
    experiment: Experiment,
    embedder: Embedder,
    files: TagFiles,
    trained: Finetuned[Tagger],
    cache: ActivationCache | None,
    device: torch.device,
) -> TaggerResults:
    """Score the tagger and write all files of its run; `cache` is of what was learned."""
    tagger, settings, tag_set, words = trained.classifier, experiment.tag, files.train.tag_set, files.train.words()
    save_tagger(writer, tagger, embedder, tag_set, settings, experiment.data, words)
    tagged: dict[str, list[Numbers]] = {}
    if not trained.results.stopped:  # who stops wants to wait no longer
        learned, count = tag_sentences(tagger, embedder, files.learned[0].corpus, device, cache), len(files.train)
        tagged = {"train": learned[:count], "valid": learned[count:]}
    if not trained.results.stopped and files.test:
        tagged["test"] = tag_sentences(tagger, embedder, files.test.corpus, device)
        writer.write_text(PREDICTIONS_FILE, _predictions(files.test, tagged["test"]))
    found = {role: score_tagger(files.by_role[role], one, words) for role, one in tagged.items() if one}
    head = "linear" if tagger.crf is None else "crf"
    results = TaggerResults(
        embedder.name, settings.lambdas, settings.tune, head, tag_set.scheme, tag_set.kinds, trained.results, found
    )
    writer.write_json(RESULTS_FILE, results.as_dict())
    _write_card(writer, results, files)
    return results


def _predictions(corpus: TaggedCorpus, tagged: Sequence[Numbers]) -> str:
    """Token, true tag and predicted tag in columns, as conlleval reads them; with tabs where tokens hold blanks."""
    sign = "\t" if any(" " in token for one in corpus.sentences for token in one.tokens) else " "
    lines = chain.from_iterable(
        [*map(sign.join, zip(one.tokens, one.tags, corpus.tag_set.decode(numbers.tolist()), strict=True)), ""]
        for one, numbers in zip(corpus.sentences, tagged, strict=True)
    )
    return "\n".join(lines) + "\n"


def _write_card(writer: RunWriter, results: TaggerResults, files: TagFiles) -> None:
    figures: dict[str, Fact] = {"validation accuracy": results.training.valid.accuracy}
    if results.training.valid.span_f1 is not None:
        figures["validation F1"] = results.training.valid.span_f1
    for role, scores in results.scores.items():
        figures[f"{role} accuracy"] = f"{scores.accuracy:.4f} (95 % interval {_bounds(scores.interval)})"
        if scores.spans:
            figures[f"{role} F1"] = f"{scores.spans.f1:.4f} (95 % interval {_bounds(scores.spans.interval)})"
    lambdas, train, test = results.training.lambdas, files.train, files.test
    kind = "types of spans" if train.tag_set.marks_spans else "tags"
    write_card(
        writer,
        f"{writer.name}: a tagger",
        f"Gives every token one of {len(results.tags)} {kind}, from the layers of the biLM '{results.lm}', which is "
        "part of this run.",
        {
            "training file": train.path.name,
            "training sentences": len(train),
            "test file": test.path.name if test else None,
            "test sentences": len(test) if test else None,
            kind: ", ".join(results.tags),
            "scheme": results.scheme,
            "head": results.head,
            "combiner": results.mode,
            "layer weights": " ".join(f"{value:.3f}" for value in lambdas) if lambdas else None,
            "biLM": "trained along" if results.tune else "frozen",
            "seed": results.training.seed,
        },
        figures,
        f'import elmo_cli\n\nmodel = elmo_cli.load("{writer.name}")\ntags = model.predict([["A", "sentence", "."]])',
    )


def _bounds(interval: tuple[float, float]) -> str:
    return "{:.4f} to {:.4f}".format(*interval)
