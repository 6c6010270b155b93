"""ELMo in Python: train from texts or load what the commands wrote, then embed, compare, predict, score.

`language_model`, `classifier`, `tagger` and `comparison` hold a class each, `model` what those that are models have in
common, `train` what turns texts into a run, `folders` the run that a model in memory belongs to, `texts` what is taken
for a text.
"""

from elmo_cli.api.classifier import TextClassifier
from elmo_cli.api.comparison import Comparison
from elmo_cli.api.language_model import Elmo
from elmo_cli.api.loading import load
from elmo_cli.api.tagger import TokenTagger

__all__ = ["Comparison", "Elmo", "TextClassifier", "TokenTagger", "load"]
