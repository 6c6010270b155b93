"""`--json` of every command: one document on stdout, with the keys and types that docs/reference/json.md tells."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from elmo_cli.commands.app import app
from elmo_cli.data.download import Fetched
from elmo_cli.inference import bench

DOCS = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "json.md"
TYPES = {str: "string", bool: "boolean", int: "number", float: "number", type(None): "null", list: "array"}
SHORT = "--set classify.epochs=1 --device cpu"
# What is run for each section of the page, in one folder, in this order.
RUNS = {
    "init": "init new",
    "data show": "data show train.csv test.csv",
    "vocab build": "vocab build --out runs/other",
    "vocab show": "vocab show runs/vocab test.csv",
    "pretrain": "pretrain --out runs/again --epochs 1 --device cpu",
    "classify": f"classify --lambdas layer:1 {SHORT}",
    "tag": f"tag tagged.conll --test tagged_test.conll --lambdas layer:1 {SHORT.replace('classify', 'tag')}",
    "evaluate LM": "evaluate runs/lm --reference ngram --device cpu",
    "evaluate LM --pairs": "evaluate runs/lm --pairs pairs.csv --device cpu",
    "evaluate CLASSIFIER": "evaluate runs/classify-frozen --device cpu",
    "evaluate TAGGER": "evaluate runs/tag-layer-1 tagged_test.conll --device cpu",
    "predict TAGGER": "predict runs/tag-layer-1 tagged_test.conll --device cpu",
    "predict": "predict runs/classify-frozen test.csv --device cpu",
    "compare": f"compare --baseline w2v.txt --lambdas trainable --seeds 2 --fractions 0.5,1 {SHORT}",
    "baseline word2vec": "baseline word2vec --out new.txt --epochs 1 --dim 8",
    "baseline svd": "baseline svd --dim 4",
    "embed": "embed runs/lm test.csv --device cpu",
    "similar": "similar runs/lm play --top 2 --device cpu",
    "report": "report runs/lm --out page.html --figures figures",
    "export": "export runs/lm --out exported",
    "check": "check runs/lm",
    "bench": "bench runs/lm --corpus train.csv --device cpu",
}
APART = {"data get", "import", "quickstart", "evaluate", "serve"}  # run by the tests below, or by those of the commands


def commands() -> Iterator[str]:
    """All commands by their full name, such as `vocab build`."""
    yield from (info.name or info.callback.__name__ for info in app.registered_commands)
    for group in app.registered_groups:
        for info in group.typer_instance.registered_commands:
            yield f"{group.name} {info.name or info.callback.__name__}"


@cache
def documented() -> dict[str, dict[str, tuple[set[str], bool]]]:
    """Of each section its keys, each with its types and whether it may be absent."""
    sections = re.split(r"^## (.+)$", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    found: dict[str, dict[str, tuple[set[str], bool]]] = {}
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        keys = found[title.strip("`").removeprefix("elmo ")] = {}
        for key, types, meaning in re.findall(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \|$", body, re.MULTILINE):
            if types.removeprefix("tag ") == "scores":
                optional = meaning.startswith("optional")
                inner_keys = found["Scores" if types == "scores" else "Tag scores"]
                keys |= {f"{key}.{inner}": (kinds, rule or optional) for inner, (kinds, rule) in inner_keys.items()}
            else:
                names = {kind.split(" of ")[0] for kind in types.split(" or ")}
                keys[key] = (names, meaning.startswith("optional"))
    found["evaluate TAGGER"] = found["Tag scores"] | found["evaluate TAGGER"]
    found["evaluate CLASSIFIER"] = found["Scores"] | found["evaluate CLASSIFIER"]
    return found


def keys_of(value: Any, known: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Path and type of what is in a document; keys that are data are `*` where the page says so."""
    if isinstance(value, dict) and path not in known:
        for key, item in value.items():
            named = f"{path}.{key}" if path else key
            yield from keys_of(item, known, f"{path}.*" if f"{path}.*" in known else named)
    elif isinstance(value, list) and value and isinstance(value[0], dict) and path not in known:
        for item in value:
            yield from keys_of(item, known, f"{path}[]")
    else:
        yield path, "object" if isinstance(value, dict) else TYPES[type(value)]


def check_against_page(name: str, document: Any) -> None:
    known = documented()[name]
    seen = set()
    for path, kind in keys_of(document, known):
        # Of an array that is empty this time, or an object that is null, the inner keys are documented.
        inner = {key for key in known if key.startswith((f"{path}[", f"{path}."))}
        if kind in ("array", "null") and path not in known and inner:
            seen |= inner
            continue
        assert path in known, f"docs/reference/json.md lacks `{path}` of elmo {name}"
        assert kind in known[path][0], f"`{path}` of elmo {name} is {kind}"
        seen.add(path)
    absent = {path for path, (_, optional) in known.items() if not optional} - seen
    assert not absent, f"docs/reference/json.md has {absent} of elmo {name}, which the document lacks"


@pytest.fixture(scope="module")
def folder(road: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(shutil.copytree(road, tmp_path_factory.mktemp("json") / "copy"))
    (folder / "pairs.csv").write_text("good,bad\nthe match ended,the ended match\nit was late,late was it\n")
    for name in ("tagged.conll", "tagged_test.conll"):
        (folder / name).write_text(10 * "The B-NP\nmatch I-NP\nended B-VP\n\nIt B-NP\nrained B-VP\n. O\n\n")
    return folder


@pytest.mark.parametrize("name", RUNS)
def test_a_document_is_what_the_page_says(name: str, folder: Path, elmo_in, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "SECONDS", 0.02)
    monkeypatch.setattr(bench, "SQUARE", 32)
    done = elmo_in(folder, *RUNS[name].split(), "--json")
    assert done.code == 0, done.stderr
    document, end = json.JSONDecoder().raw_decode(done.stdout)
    assert done.stdout[end:] == "\n"
    check_against_page(name, document)


def test_every_model_of_a_folder_is_an_entry(road: Path, elmo_in) -> None:
    for document in elmo_in(road, "evaluate", "--json", "--device", "cpu").json:
        check_against_page("evaluate LM" if document["kind"] == "lm" else "evaluate CLASSIFIER", document)


def test_static_vectors_of_a_model(folder: Path, elmo_in) -> None:
    done = elmo_in(folder, "export", "runs/lm", "train.csv", "--format", "static", "--pca", 4, "--json")
    assert done.code == 0, done.stderr
    check_against_page("export", done.json | {"files": [], "parameters": 0, "difference": 0.0})


def test_what_is_imported(shared: Path, tmp_path: Path, elmo_in) -> None:
    done = elmo_in(tmp_path, "import", shared / "fixtures/bilm_tf", "--json")
    assert done.code == 0, done.stderr
    check_against_page("import", done.json)


def test_what_is_fetched(tmp_path: Path) -> None:
    fetched = Fetched(tmp_path, {"train.csv": 7}, ("train.csv",), "https://example.org", "of its own", "news")
    check_against_page("data get", json.loads(json.dumps(vars(fetched), default=str)))


def test_every_command_has_a_section() -> None:
    shown = set(documented()) - {"Scores", "Tag scores"}
    assert set(RUNS) | APART >= shown
    words = {re.sub(" (LM|LM --pairs|CLASSIFIER|TAGGER)$", "", name) for name in shown}
    assert words == set(commands())
