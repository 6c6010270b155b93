"""The same readers, led by coverage: Atheris, which is no dependency (`pip install atheris`), looks for new branches.

    python tests/fuzz/guided.py READER NUMBER [FLAGS OF LIBFUZZER, such as -max_total_time=600 -rss_limit_mb=2048]

NUMBER says which of the reader's files is damaged. What is no error of ours ends it, the input kept as `crash-...`.
"""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

sys.path.append(str(Path(__file__).resolve().parent))

with atheris.instrument_imports(include=["elmo_cli"]):
    from targets import TARGETS

from elmo_cli.errors import ElmoError


def main() -> None:
    """Fuzz one file of one reader."""
    warnings.simplefilter("ignore")
    logging.disable()
    target = TARGETS[sys.argv[1]]
    name = target.names[int(sys.argv[2])]
    with tempfile.TemporaryDirectory(prefix="elmo-fuzz-") as made:
        whole, work, corpus = (Path(made) / part for part in ("whole", "work", "corpus"))
        whole.mkdir()
        corpus.mkdir()
        target.write(whole)
        shutil.copytree(whole, work)
        shutil.copyfile(whole / name, corpus / "whole")

        def attempt(content: bytes) -> None:
            (work / name).write_bytes(content)
            try:
                target.read(work)
            except ElmoError:
                pass
            finally:
                if target.changes:
                    shutil.rmtree(work)
                    shutil.copytree(whole, work)

        atheris.Setup([sys.argv[0], str(corpus), "-timeout=5", *sys.argv[3:]], attempt)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
