"""What users do wrong, command by command: a message that says what, where and what to do, no traceback.

Exit code 2 for wrong usage and wrong input, 1 for what fails while running.
"""

from __future__ import annotations

import ast
import io
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

PACKAGE = Path(__file__).resolve().parent.parent.parent / "elmo_cli"

Files = dict[str, bytes]


@dataclass(frozen=True)
class Mistake:
    """A command line, the files it is given, and what its message must say."""

    command: str
    fragments: tuple[str, ...]
    files: Files = field(default_factory=dict)
    spoil: Callable[[], object] | None = None

    def __str__(self) -> str:
        return self.command


def of(command: str, *fragments: str, spoil: Callable[[], object] | None = None, **files: bytes) -> Mistake:
    """`x_csv=b"..."` is the file x.csv."""
    return Mistake(command, fragments, {name.replace("_", ".", 1): content for name, content in files.items()}, spoil)


def cut(path: str) -> Callable[[], object]:
    return lambda: Path(path).write_bytes(Path(path).read_bytes()[:-1000])


def change(path: str, old: str, new: str) -> Callable[[], object]:
    def spoil() -> None:
        text = Path(path).read_text(encoding="utf-8")
        assert old in text
        Path(path).write_text(text.replace(old, new), encoding="utf-8")

    return spoil


def other_order(path: str) -> None:
    """The tokens of a vocabulary with other ids."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    Path(path).write_text("\n".join([*lines[:3], *reversed(lines[3:])]) + "\n", encoding="utf-8")


UNFINISHED = change("runs/lm/run.yaml", "status: finished", "status: unfinished")
LM_WEIGHTS, CLASSIFIER_WEIGHTS = "runs/lm/model.safetensors", "runs/classify-frozen/model.safetensors"
NUMBERED = b"label,text\n1,stocks fell\n2,a match\n1,goal scored\n"
VOCAB, LM, HEAD = "vocab build --out runs/o", "pretrain --out runs/o", "classify --lambdas function"
SETTINGS = f"{LM} --config y.yaml"

MISTAKES = [
    # files of text
    of(f"{VOCAB} tran.csv", "there is no file tran.csv", "did you mean 'train.csv'?"),
    of(f"{VOCAB} no/such/file.txt", "there is no folder no/such either"),
    of(f"{VOCAB} e.txt", "e.txt is empty", e_txt=b""),
    of(f"{VOCAB} e.csv", "e.csv is empty", e_csv=b""),
    of(f"{VOCAB} b.txt", "b.txt, line 1", b_txt=bytes(range(128, 256)) * 9),
    of(f"{VOCAB} b.csv", "b.csv", "NUL byte", b_csv=b"text\nab\0cd\n"),
    of(f"{VOCAB} plain.gz", "plain.gz cannot be unpacked", "complete gzip file", plain_gz=b"plain text\n"),
    of(f"{VOCAB} p.pdf", "the kind .pdf are not read", p_pdf=b"%PDF"),
    of(f"{VOCAB} --column txet", "there is no column 'txet'", "train.csv, line 1", "did you mean 'text'?"),
    of(f"{VOCAB} test.csv", "test.csv is the test file, which no model may learn from"),
    of(f"{VOCAB} --min-count 999", "no token occurs 999 times", "lower --min-count"),
    of(f"{VOCAB} --tokenizer word", "--tokenizer got 'word'", "the command line", "did you mean 'words'?"),
    of(f"{VOCAB} --tokenizer regex", "there is no tokenizer.pattern", "--set tokenizer.pattern="),
    of(f"{VOCAB} --tokenizer regex --set tokenizer.pattern=(", "no regular expression", "unterminated subpattern"),
    # places to write to
    of("vocab build", "runs/vocab exists already", "--overwrite"),
    of("vocab build --out train.csv", "train.csv exists and is not a run", "another --out"),
    of("vocab build --out train.csv/x", "train.csv is a file, not a folder", "another place"),
    of("vocab build --out runs/lm --overwrite", "runs/lm holds an LM run", "another --out"),
    of("baseline svd --dim 4 --out runs --overwrite", "runs is a folder", "name a file in it"),
    of("baseline svd --dim 4 --out /dev/null --overwrite", "/dev/null is a device"),
    of("baseline svd --dim 4 --out train.csv/v.txt", "train.csv is a file, not a folder"),
    of("baseline word2vec", "w2v.txt exists already", "--overwrite"),
    of("embed runs/lm test.csv --out e.hdf5", "e.hdf5 exists already", "--overwrite", e_hdf5=b"x"),
    of("report runs/lm", "report.html exists already", "--overwrite", report_html=b"x"),
    of("report runs/lm --out runs", "runs is a folder", "name a file in it"),
    of("init", "there is an elmo.yaml already", "--overwrite"),
    of("init train.csv", "train.csv is not a folder", "elmo init DIR"),
    of("quickstart runs", "runs exists and is not empty", "--overwrite"),
    # vocabularies
    of("vocab show runs/vocap", "runs/vocap", "did you mean 'runs/vocab'?"),
    of("vocab show train.csv", "does not begin as a vocabulary does", "line 1", "elmo vocab build"),
    of("vocab show runs/vocab tset.csv", "there is no file tset.csv", "did you mean 'test.csv'?"),
    of(f"{LM} --vocab runs/vocap", "runs/vocap", "did you mean 'runs/vocab'?"),
    of("evaluate runs/lm", "vocab.txt holds", spoil=change("runs/lm/vocab.txt", "<UNK>", "<UNK>\nzzz")),
    of("evaluate runs/lm", "vocab.txt", spoil=lambda: Path("runs/lm/vocab.txt").unlink()),
    # settings
    of(f"{LM} --set pretrain.epochs=many", "pretrain.epochs is 'many'", "the command line", "passes over the corpus"),
    of(f"{LM} --set pretrain.epochs=2.5", "pretrain.epochs is 2.5", "integer"),
    of(f"{LM} --set pretrain.epochs=", "pretrain.epochs is None", "integer"),
    of(f"{LM} --set pretrain.epochs", "--set got 'pretrain.epochs'", "key=value"),
    of(f"{LM} --set pretrain.epoch=3", "unknown key 'pretrain.epoch'", "did you mean 'epochs'?"),
    of(f"{LM} --set pretrian.epochs=3", "unknown key 'pretrian'", "did you mean 'pretrain'?"),
    of(f"{LM} --set pretrain=3", "pretrain is 3", "section with keys"),
    of(f"{LM} --set pretrain.epochs=[1", "not a YAML value", "close its brackets"),
    of(f"{LM} --set model.dropout=1.5", "model.dropout is 1.5", "less than 1"),
    of(f"{LM} --set pretrain.valid_fraction=0.9", "valid_fraction is 0.9", "less than 0.5"),
    of(f"{LM} --set model.tie=true --set model.encoder=char", "tie needs encoder", "change one of the two"),
    of(f"{LM} --set seed=-4", "seed is -4", "greater than or equal to 0"),
    of(f"{LM} --seed -1", "--seed"),
    of(f"{LM} --preset smal", "--preset got 'smal'", "the command line", "did you mean 'small'?"),
    of(f"{LM} --encoder chars", "--encoder got 'chars'", "did you mean 'char'?"),
    of(f"{LM} --config other.yaml", "there is no settings file other.yaml", "elmo init"),
    of(f"{LM} --config runs", "runs cannot be read", "a YAML file"),
    of(SETTINGS, "y.yaml, line 3, column 3", "'pretrain.epoch'", "'epochs'", y_yaml=b"\npretrain:\n  epoch: 3\n"),
    of(SETTINGS, "y.yaml, line 3, column 3", "stands twice", y_yaml=b"pretrain:\n  epochs: 3\n  epochs: 4\n"),
    of(SETTINGS, "y.yaml is not YAML", "line 2, column 1", "no tabs", y_yaml=b"seed: 1\n\tpretrain: 3\n"),
    of(SETTINGS, "y.yaml holds a list", "sections with keys", y_yaml=b"- a\n- b\n"),
    of(SETTINGS, "no preset 'tinny'", "y.yaml, line 1, column 1", "did you mean 'tiny'?", y_yaml=b"preset: tinny\n"),
    of(SETTINGS, "y.yaml cannot be read", "UTF-8", y_yaml=b"seed: \xff\n"),
    # the language model
    of(f"{LM} --device gpu", "--device got 'gpu'", "auto, cpu"),
    of(f"{LM} --valid train.csv", "train.csv is the validation file"),
    of(f"{LM} --valid vaild.txt", "there is no file vaild.txt"),
    of(f"{LM} one.txt", "the corpus has 1 sentence", "data.valid", one_txt=b"one\n"),
    of(f"{LM} test.csv", "test.csv is the test file, which no model may learn from"),
    of("pretrain", "runs/lm exists already", "--overwrite"),
    of("pretrain --resume --overwrite", "exclude each other", "leave one out"),
    of("pretrain --resume --out runs/none", "there is no run runs/none", "did you mean 'runs/lm'?"),
    of("pretrain --resume --seed 4", "seed is 4, but the run was begun with 1", "--overwrite"),
    of("pretrain --resume --set model.hidden_size=64", "hidden_size is 64", "begun with 32", spoil=UNFINISHED),
    of("pretrain --out runs/classify-frozen --overwrite", "holds a classifier run", "another --out"),
    of("evaluate runs/lm", "runs/lm is not finished", "elmo pretrain --resume", spoil=UNFINISHED),
    # choices, of flags and of settings
    of(f"{LM} --set model.encoder=chars", "model.encoder is 'chars'", "the command line", "did you mean 'char'?"),
    of(f"{LM} --set preset=smal", "there is no preset 'smal'", "the command line", "did you mean 'small'?"),
    of("baseline svd --weighting pmi", "--weighting got 'pmi'", "did you mean 'ppmi'?"),
    of("embed runs/lm test.csv --pool men", "--pool got 'men'", "did you mean 'mean'?"),
    of("init sub --preset huge", "--preset got 'huge'", "choose from: tiny, small, base, original"),
    # files of static vectors
    of(f"{LM} --init-embeddings w3v.txt", "there is no file w3v.txt", "did you mean 'w2v.txt'?"),
    of(f"{LM} --init-embeddings train.csv", "train.csv holds no vectors", "elmo baseline"),
    of(f"{LM} --init-embeddings v.txt", "v.txt, line 3", "2 fields", v_txt=b"3 2\nthe 1 2\nof 1\nin 3 4\n"),
    of(f"{LM} --init-embeddings v.txt", "holds 3 vectors", "says 5", v_txt=b"5 2\nthe 1 2\nof 1 2\nin 3 4\n"),
    of(f"{LM} --init-embeddings v.txt", "'x' is not a number", "line 2", v_txt=b"the 1 2\nof 1 x\nin 3 4\n"),
    of(f"{LM} --init-embeddings v.txt", "nan", "line 2", v_txt=b"the 1 2\nof 1 nan\nin 3 4\n"),
    of(f"{LM} --init-embeddings v.bin", "v.bin", v_bin=b"3 2\nthe \1\2\3"),
    of(f"{LM} --init-embeddings v.txt", "no token in common", "same language", v_txt=b"zz1 1 2\nzz2 3 4\n"),
    of(f"{LM} --init-embeddings w2v.txt --encoder char", "model.encoder is char", "set model.encoder=word"),
    of("compare --baseline w3v.txt", "there is no file w3v.txt", "did you mean 'w2v.txt'?"),
    of("compare --baseline runs/lm", "runs/lm", "a file"),
    of("compare --baseline w2v.txt --baseline w2v.txt", "w2v.txt is given twice", "leave one of the two out"),
    of("compare --baseline v.txt", "no token in common", "same language", v_txt=b"zz1 1 2\nzz2 3 4\n"),
    of("baseline svd --dim 99999", "svd.dim is 99999", "lower --dim"),
    # labelled files
    of(f"{HEAD} --test n.csv", "training never saw: '1', '2'", "names for its labels", "n.csv", n_csv=NUMBERED),
    of("evaluate runs/classify-frozen n.csv", "never saw: '1', '2'", "names for its labels", n_csv=NUMBERED),
    of(f"{HEAD} --test train.csv", "train.csv is training and test file at once", "--test"),
    of(f"{HEAD} --test tests.csv", "there is no file tests.csv", "did you mean 'test.csv'?"),
    of(f"{HEAD} t.txt", "t.txt", "has no labels", t_txt=b"a b\n"),
    of(f"{HEAD} h.csv", "h.csv", h_csv=b"label,text\n"),
    of(f"{HEAD} q.csv", "q.csv, line 3", "1 column", "2", q_csv=b"label,text\nA,one two\nB\nA,three\n"),
    of(f"{HEAD} q.csv", "q.csv, line 3", "UTF-8", q_csv=b"label,text\nA,one\nB,caf\xe9 au lait\n"),
    of(f"{HEAD} --set data.label=lable", "there is no column 'lable'", "did you mean 'label'?"),
    of(f"{HEAD} q.csv", "q.csv, line 3", "3 columns", "quotes", q_csv=b"label,text\nA,one\nB,two,three\nA,x\n"),
    of(f"{HEAD} q.csv", "q.csv, line 4", "never closed", q_csv=b'label,text\nA,one\nB,two\nA,"open\n'),
    of(f"{HEAD} q.csv", "q.csv, line 3", "the label is empty", q_csv=b"label,text\nA,one\n,two\nA,x\n"),
    of(f"{HEAD} q.csv", "the same label 'A'", "data.label", q_csv=b"label,text\nA,one\nA,x\n"),
    of(f"{HEAD} --set data.test=null --set data.train=null", "no training file was given", "elmo init"),
    # classifiers, and runs of the wrong kind
    of("classify --lambdas frozne", "classify.lambdas is 'frozne'", "did you mean 'frozen'?"),
    of("classify --lambdas layer:9", "the embedder has 3 layers", "layer:0 to layer:2"),
    of("classify --lambdas frozen --frozen-lambdas 1,2 --out runs/o", "'1,2'", "3 numbers"),
    of("classify --lambdas trainable --frozen-lambdas uniform", "frozen_lambdas needs lambdas: frozen"),
    of(f"{HEAD} --pooling avg", "--pooling got 'avg'", "choose from: max, mean"),
    of(f"{HEAD} --lm runs/ln", "there is no run runs/ln", "did you mean 'runs/lm'?"),
    of(f"{HEAD} --lm runs/classify-frozen", "is a classifier run; an LM run is wanted", "runs/lm"),
    of(f"{HEAD} --lm runs/vocab", "is a vocabulary; an LM run is wanted"),
    of(f"{HEAD} --lm w2v.txt", "w2v.txt is not a run"),
    of(f"{HEAD} --device tpu", "--device got 'tpu'"),
    of("classify --lambdas frozen", "runs/classify-frozen exists already", "--overwrite"),
    of("predict runs/lm test.csv", "is an LM run; a classifier run is wanted", "runs/classify-frozen"),
    of("predict runs/clasify-frozen test.csv", "did you mean 'runs/classify-frozen'?"),
    of("predict runs/classify-frozen absent.txt", "there is no file absent.txt"),
    of("predict runs/classify-frozen test.csv --column txt", "did you mean 'text'?"),
    of("predict runs/classify-frozen test.csv --format xml", "--format got 'xml'", "choose from: csv, jsonl"),
    of("predict runs/classify-frozen", "there is nothing to label", "a text a line"),
    of("predict runs/classify-frozen - --format jsonl", "there is nothing to label"),
    of("predict runs/classify-frozen --json", "there is nothing to label"),
    of("predict runs/classify-frozen e.txt", "there is nothing to label", e_txt=b""),
    of("evaluate runs/vocab", "runs/vocab", "elmo pretrain"),
    of("evaluate runs/classify-frozn", "did you mean 'runs/classify-frozen'?"),
    of("evaluate", "there is no model in runs", "elmo pretrain", spoil=lambda: shutil.rmtree("runs")),
    of("evaluate runs/lm --set data.test=null", "no file to evaluate on", "elmo evaluate RUN FILE"),
    # comparisons
    of("compare --lambdas frozne", "'frozne'", "did you mean 'frozen'?"),
    of("compare --lambdas layer:3", "layer:3 does not fit lm", "layer:0 to layer:2"),
    of("compare --lambdas frozen --lambdas frozen", "frozen is given twice"),
    of("compare --lambdas frozen --against frozn", "compare.against is 'frozn'", "lm frozen, TF-IDF + SVM"),
    of("compare --lm runs/lm --lm runs/lm", "runs/lm is given twice"),
    of("compare --fractions 0.1,2", "compare.fractions is '2'", "less than or equal to 1"),
    of("compare --fractions 0.001", "leaves no text of class", "train.csv"),
    of("compare --baseline w2v.txt", "training never saw: 'Weather'", test_csv=b"label,text\nWeather,rain\n"),
    of("compare --baseline v.txt", "v.txt, line 3", v_txt=b"3 2\nthe 1 2\nof 1\nin 3 4\n"),
    of("compare --fractions 0.5,0", "compare.fractions is '0'", "greater than 0"),
    of("compare --fractions half", "compare.fractions is 'half'", "valid number"),
    of("compare --seeds 0", "--seeds"),
    of("compare --set data.test=null", "a comparison needs a test file", "--test FILE"),
    of("compare --resume", "there is no run runs/compare", "elmo compare"),
    # what is damaged
    of("evaluate runs/lm", "model.safetensors is damaged", "copy the run again", spoil=cut(LM_WEIGHTS)),
    of("predict runs/classify-frozen", "model.safetensors is damaged", spoil=cut(CLASSIFIER_WEIGHTS)),
    of("embed runs/lm test.csv", "model.safetensors is missing", spoil=lambda: Path(LM_WEIGHTS).unlink()),
    of("evaluate runs/lm", "run.yaml is damaged", spoil=lambda: Path("runs/lm/run.yaml").write_text("a: [")),
    of("evaluate runs/lm", "newer elmo", "schema 9", spoil=change("runs/lm/run.yaml", "schema: 1", "schema: 9")),
    of("evaluate runs/lm", "of shape (", "belong together", spoil=change("runs/lm/run.yaml", "size: 32", "size: 48")),
    of(HEAD, "vocabulary in runs/lm does not belong", spoil=lambda: other_order("runs/lm/vocab.txt")),
    of("evaluate runs/lm", "vocabulary in runs/lm does not belong", spoil=lambda: other_order("runs/lm/vocab.txt")),
    # activations and weights of others
    of("embed runs/lm test.csv --layers 7", "there is no layer 7", "0 to 2"),
    of("embed runs/lm test.csv --layers tpo", "--layers got 'tpo'", "did you mean 'top'?"),
    of("embed runs/lm test.csv --stateful", "--stateful needs --batch-size"),
    of("embed runs/lm test.csv --batch-tokens 1", "--batch-tokens 1 is too small"),
    of("embed runs/lm", "there is nothing to embed", "a line each"),
    of("embed runs/vocab test.csv", "is a vocabulary"),
    of("similar runs/lm 'a play' --token plya", "'plya' is no token", "did you mean 'play'?"),
    of("similar runs/lm play --layer tpo", "there is no layer tpo", "top, mix, or 0 to 2"),
    of("similar runs/lm ''", "the sentence has no tokens", "in quotes"),
    of("import nothere --out runs/o", "there is no folder nothere"),
    of("import rums --out runs/o", "there is no folder rums", "did you mean 'runs'?"),
    of("import runs --out runs/o", "runs holds no options", "a JSON file"),
    of("check runs/vocab", "runs/vocab", "elmo pretrain"),
    of("check runs/lm test.csv --expected n.hdf5", "there is no file n.hdf5"),
    of("check runs/lm test.csv --expected n.hdf5", "no whole HDF5 file", n_hdf5=b"junk"),
    of("report runs/vocab", "which a report does not show"),
    of("report runs/compar", "there is no run runs/compar"),
    of("bench runs/classify-frozen", "an LM run is wanted", "runs/lm"),
    of("bench --corpus nofile.txt", "there is no file nofile.txt"),
    of("quickstart new --device foo", "--device got 'foo'"),
    # usage
    of("pretrian", "No such command", "Did you mean 'pretrain'?"),
    of("vocab bild", "No such command", "Did you mean 'build'?"),
    of("pretrain --epoch 3", "No such option", "--epochs"),
    of("pretrain --epochs many", "--epochs", "integer"),
    of("pretrain --epochs 0", "--epochs"),
    of("predict", "Missing argument 'RUN'"),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_a_mistake_is_told(mistake: Mistake, folder: Path, elmo_in, contents, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in mistake.files.items():
        (folder / name).write_bytes(content)
    monkeypatch.chdir(folder)
    if mistake.spoil:
        mistake.spoil()
    before = contents(folder)
    done = elmo_in(folder, *shlex.split(mistake.command))
    assert done.code == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    shown = " ".join(done.stderr.replace("│", " ").split())
    for fragment in mistake.fragments:
        assert fragment in shown
    assert "what to do: " in done.stderr or "Try 'elmo " in done.stderr
    assert "\x1b" not in done.stderr
    assert contents(folder) == before


def test_every_error_says_what_to_do() -> None:
    names = {"ElmoError", "InputError", "ConfigError", "DataError", "WeightsError", "RunError"}
    silent = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                given = {keyword.arg for keyword in node.keywords}
                if "remedy" not in given:
                    silent.append(f"{path.relative_to(PACKAGE)}:{node.lineno}")
    assert not silent


def test_settings_keep_their_first_mistake_apart_from_the_rest(folder: Path, elmo_in) -> None:
    written = yaml.safe_load((folder / "elmo.yaml").read_text(encoding="utf-8"))
    written["classify"] = {"lambdas": "frozne"}
    (folder / "elmo.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")
    done = elmo_in(folder, "vocab", "show", "runs/vocab", "test.csv")
    assert done.code == 2
    assert "classify.lambdas is 'frozne'" in done.stderr
    assert "elmo.yaml, line" in done.stderr


def test_standard_input_that_is_not_utf8(road: Path, elmo_in, monkeypatch: pytest.MonkeyPatch) -> None:
    class Streams:
        stdin = io.TextIOWrapper(io.BytesIO(b"fine\ncaf\xe9\n"))

    monkeypatch.setattr("elmo_cli.commands.inputs.sys", Streams)
    done = elmo_in(road, "embed", "runs/lm", "--out", "e.hdf5")
    assert (done.code, done.stdout) == (2, "")
    assert "stdin, line 2, byte 4" in done.stderr
    assert not (road / "e.hdf5").exists()
