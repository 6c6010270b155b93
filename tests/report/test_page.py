"""The page of runs: everything in it, nothing that could run or be fetched, and what does not fit together is said."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_runs import (
    CLASSES,
    EVIL,
    ROWS,
    classifier,
    full_comparison,
    language_model,
    write_json,
    write_run,
)

from elmo_cli.errors import ConfigError, RunError
from elmo_cli.report.blocks import MOST_CLASSES
from elmo_cli.report.page import Report, add_page, write_report
from elmo_cli.report.reported import read_runs
from elmo_cli.runs import RunWriter

VOID = {"meta", "br", "link", "img", "hr", "input"}


class _Page(HTMLParser):
    """Checks that every element is closed in its turn, and gathers elements and text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self.headings: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)

    def _note(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        assert not [name for name in found if name.startswith("on") or name == "src"]
        self.ids += [found["id"]] if found.get("id") else []
        self.links += [found["href"]] if found.get("href") else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)
            if "h3" in self.open:
                self.headings.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


def page_of(*runs: Path) -> _Page:
    return _Page(text_of(*runs))


def text_of(*runs: Path) -> str:
    out = runs[0].parent / "report.html"
    write_report(runs, out, overwrite=True)
    return out.read_text(encoding="utf-8")


def test_a_full_comparison_shows_every_section(tmp_path: Path) -> None:
    page = page_of(full_comparison(tmp_path / "compare"))
    assert page.headings == [
        *("The conclusion in full", "Accuracies", "Tested pairs", "Learning curves", "Confusion matrices", "Classes"),
        *("Training", "Every classifier", "Layer weights", "Hardest texts", "Texts that only ELMo gets right"),
        *("Texts that only ELMo gets wrong", "Data", "How it was done", "Settings and versions"),
    ]
    assert "Left out" not in page.text
    assert page.tags.count("svg") == 6  # accuracies, differences, learning, accuracy, loss, layer weights that learned
    assert page.text.count("is better.") == 1  # the conclusion stands once
    assert page.text.index("In short.") < page.text.index("is better.") < page.text.rindex("Accuracies")
    assert page.text.count("% right") == 2 * len(ROWS)
    for told in (
        *("With 2 seeds", "80.00", "78.00 to 82.00", "+2.00", "< 0.001", "significantly better", "1,234", "76.54 %"),
        *("31.2", "143", "10 (10.0 %)", "3.21", "2.13.0", "only ELMo knows", "6.25", "2 of 3"),
        *("ELMo alone does not know", "precision %, test", "recall %, train", "99.8"),
        *("reference without embeddings", "best ELMo row on validation", "compared with", "sha256:aaaa"),
    ):
        assert told in page.text


def test_nothing_of_the_user_becomes_markup(tmp_path: Path) -> None:
    runs = full_comparison(tmp_path / "a<b>&amp;"), classifier(tmp_path / "classify"), language_model(tmp_path / "lm")
    text = text_of(*runs)
    page = _Page(text)
    assert "script" not in page.tags
    assert not {"i", "u", "b"} & set(page.tags)
    for shown in (EVIL, *CLASSES, "a<b>&amp;", "<i>a sentence</i>", "<u>seed</u>", "<i>column</i>"):
        assert shown in page.text
    assert "\x00" not in text
    assert "very sure" in page.text


def test_the_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    text = text_of(full_comparison(tmp_path / "compare"), language_model(tmp_path / "lm"))
    page = _Page(text)
    assert not {"link", "img", "iframe", "object", "embed", "base", "video", "audio", "image"} & set(page.tags)
    assert all(link.startswith("#") for link in page.links)
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert not re.search(r"https?:|@import|url\((?!#)", text)
    assert "default-src 'none'" in text
    assert len(text.encode()) < 500_000
    assert str(tmp_path) not in text


def test_the_same_runs_give_the_same_page(tmp_path: Path) -> None:
    runs = full_comparison(tmp_path / "compare"), language_model(tmp_path / "lm")
    assert text_of(*runs) == text_of(*runs)


def test_a_comparison_that_was_stopped_says_what_it_lacks(tmp_path: Path) -> None:
    run = full_comparison(tmp_path / "compare")
    (run / "results.json").unlink()
    (run / "examples.json").unlink()
    page = page_of(run)
    assert page.headings == ["Training", "Layer weights", "Settings and versions"]
    assert "This comparison has no results yet." in page.text
    assert (
        "Left out, as this run has nothing to show: accuracies, tested pairs, learning curves (elmo compare "
        "--fractions), confusion matrices, classes, every classifier, hardest texts, texts that only ELMo gets right, "
        "texts that only ELMo gets wrong, data, how it was done." in page.text
    )


def test_runs_of_all_kinds_on_one_page(tmp_path: Path) -> None:
    page = page_of(
        language_model(tmp_path / "lm"), classifier(tmp_path / "classify"), full_comparison(tmp_path / "compare")
    )
    assert "Warning" not in page.text.replace("Warning. One <u>seed", "")
    told = page.text
    assert told.index("Validation perplexity 119.4") < told.index("Combiner trainable on the layers of lm")
    assert "right on 90.0 % of 100 test texts (95 % interval 84.00 to 95.00)" in told
    assert told.index("very sure") < told.index("somewhat sure")
    assert "class 'x' was never predicted" in told
    assert {"run1", "run2", "run3"} <= set(page.ids)


def test_other_test_files_give_a_warning_and_lose_nothing(tmp_path: Path) -> None:
    runs = [full_comparison(tmp_path / "one"), full_comparison(tmp_path / "two", "c" * 64), classifier(tmp_path / "c")]
    report = write_report(runs, tmp_path / "report.html")
    assert report.warnings == (
        "The test files differ, so accuracies of one run say nothing beside those of another: one, c: test.csv "
        "(bbbbbbbb); two: test.csv (cccccccc).",
    )
    page = _Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert report.warnings[0] in page.text
    assert page.headings.count("Hardest texts") == 2


def test_perplexities_over_other_words_give_a_warning(tmp_path: Path) -> None:
    same = write_report([language_model(tmp_path / "a"), language_model(tmp_path / "b")], tmp_path / "same.html")
    assert same.warnings == ()
    other = write_report([tmp_path / "a", language_model(tmp_path / "c", "w" * 64)], tmp_path / "other.html")
    assert len(other.warnings) == 1
    assert "perplexities of one run say nothing" in other.warnings[0]


def test_an_unfinished_run_shows_what_it_has(tmp_path: Path) -> None:
    run = language_model(tmp_path / "lm")
    (run / "results.json").unlink()
    (run / "run.yaml").write_text((run / "run.yaml").read_text().replace("finished", "unfinished"))
    page = page_of(run)
    assert "lm is not finished" in page.text
    assert "the last validation perplexity is 119.4" in page.text
    assert page.headings == ["Perplexity", "Settings and versions"]


def test_a_model_without_results_and_log_does_not_spoil_the_page(tmp_path: Path) -> None:
    imported = write_run(tmp_path / "imported", "lm")
    page = page_of(classifier(tmp_path / "classify"), imported)
    assert "This language model has no final results: it has no perplexity." in page.text
    assert "Left out, as this run has nothing to show: perplexity, figures." in page.text


def test_many_classes_become_a_list_of_mistakes(tmp_path: Path) -> None:
    run = classifier(tmp_path / "classify")
    results = json.loads((run / "results.json").read_text())
    size = MOST_CLASSES + 1
    results["classes"] = [f"class{number}" for number in range(size)]
    counts = [[40 if true == guess else 0 for guess in range(size)] for true in range(size)]
    counts[3][5] = 10
    results["test"]["confusion"] = counts
    del results["train"]
    write_json(run / "results.json", results)
    page = page_of(run)
    assert "class3 taken for class5 : 10 (20.0 %)" in page.text
    assert page.text.count("taken for") == 1


def test_a_classifier_that_was_trained_again_is_drawn_once(tmp_path: Path) -> None:
    run = full_comparison(tmp_path / "compare")
    once = text_of(run)
    log = run / "metrics.jsonl"
    log.write_text(log.read_text() * 2)
    assert text_of(run) == once
    # Nor do classifiers of a part of the texts stand among those of all.
    part = [json.loads(line) | {"fraction": 0.1, "valid_accuracy": 0.1} for line in log.read_text().splitlines()]
    with log.open("a") as file:
        file.writelines(json.dumps(event) + "\n" for event in part)
    assert text_of(run) == once


def test_names_are_told_apart(tmp_path: Path) -> None:
    runs = [language_model(tmp_path / place) for place in ("x/lm", "y/lm", "z")]
    assert [source.name for source in read_runs(runs)] == ["x/lm", "y/lm", "z"]


def test_figures_as_files(tmp_path: Path) -> None:
    runs = [full_comparison(tmp_path / "compare"), classifier(tmp_path / "c"), language_model(tmp_path / "lm")]
    results = json.loads((runs[0] / "results.json").read_text())
    results["rows"] = results["rows"][::4]  # of the others a confusion matrix shows nothing more
    write_json(runs[0] / "results.json", results)
    report = write_report(runs, figures=tmp_path / "figures")
    assert report.page is None
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {path.name for path in report.figures}
    assert {
        *("compare-comparison.svg", "compare-differences.png", "compare-learning-curves.png", "compare-loss.svg"),
        *("compare-valid-accuracy.png", "compare-lambdas-lm-trainable.svg", "compare-confusion-test-w2v.txt.png"),
        *("compare-confusion-train-tf-idf-svm.svg", "c-accuracy.png", "c-confusion-test.svg", "lm-perplexity.png"),
    } <= names
    with pytest.raises(RunError, match="exists already"):
        write_report(runs, figures=tmp_path / "figures")
    both = write_report(runs[2:], tmp_path / "page.html", tmp_path / "figures", overwrite=True)
    assert both == Report(tmp_path / "page.html", both.figures, ("lm",), ())
    assert len(both.figures) == 2


def test_what_cannot_be_reported(tmp_path: Path) -> None:
    run = language_model(tmp_path / "lm")
    out = tmp_path / "report.html"
    with pytest.raises(RunError, match="there is no run"):
        write_report([tmp_path / "absent"], out)
    with pytest.raises(RunError, match="which a report does not show"):
        write_report([write_run(tmp_path / "vocab", "vocab")], out)
    with pytest.raises(ConfigError, match="given twice"):
        write_report([run, tmp_path / "vocab" / ".." / "lm"], out)
    with pytest.raises(RunError, match="nothing to report of empty"):
        write_report([write_run(tmp_path / "empty", "lm")], out)
    with pytest.raises(RunError, match="is a folder"):
        write_report([run], tmp_path)
    with pytest.raises(RunError, match="nothing to report in"):
        write_report([], out, folder=tmp_path / "vocab")
    assert not out.exists()
    out.write_text("mine")
    with pytest.raises(RunError, match="exists already"):
        write_report([run], out)
    assert out.read_text() == "mine"


@pytest.mark.parametrize("damage", ['{"rows": [{}]}', '{"rows": 3}', "[]", '{"rows": [{"name": "x"}]}', "{"])
def test_damaged_results_are_said_to_be_that(damage: str, tmp_path: Path) -> None:
    run = full_comparison(tmp_path / "compare")
    (run / "results.json").write_text(damage)
    with pytest.raises(RunError, match=r"not as elmo wrote|cannot be read"):
        write_report([run], tmp_path / "report.html")
    with pytest.raises(RunError, match=r"not as elmo wrote|cannot be read"):
        write_report([run], figures=tmp_path / "figures")


def test_a_page_that_fails_is_a_notice(tmp_path: Path) -> None:
    made = full_comparison(tmp_path / "made")
    with RunWriter(tmp_path / "compare", "comparison", "test") as writer:
        writer.describe({}, {})
        for name in ("results.json", "metrics.jsonl", "examples.json"):
            writer.write_text(name, (made / name).read_text(encoding="utf-8"))
        assert list(add_page(writer, [language_model(tmp_path / "lm")])) == []
        page = _Page((writer.path / "report.html").read_text(encoding="utf-8"))
        assert "compare, lm" in page.text
        assert ".new" not in page.text
        assert "not finished" not in page.text
        (notice,) = add_page(writer, [tmp_path / "gone"])
        assert "report.html could not be written (there is no run" in notice.message
        writer.write_text("results.json", '{"rows": [{}]}')
        (notice,) = add_page(writer)
        assert "the results are complete" in notice.message
    assert (tmp_path / "compare" / "results.json").is_file()
