"""What a user may choose from, each list once: for the settings, the options of the commands, and their help.

Nothing is imported here that takes time: the help of every command shows these.
"""

from __future__ import annotations

from typing import Literal

# Of an experiment.
Preset = Literal["tiny", "small", "base", "original"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["float32", "bfloat16"]
PrecisionChoice = Literal["auto", "float32", "bfloat16"]

# Of how text is read.
TokenizerKind = Literal["words", "whitespace", "regex"]
Cleaning = Literal["none", "ag-news"]
Quoting = Literal["auto", "yes", "no", "backslash"]
Header = Literal["auto", "yes", "no"]

# Of the language model and its training.
EncoderKind = Literal["word", "char", "word+char"]
SoftmaxKind = Literal["full", "adaptive", "sampled"]
Activation = Literal["relu", "tanh"]
OptimiserKind = Literal["adamw", "adagrad"]

# Of the classifier. A single layer, `layer:N`, is a mode of λ too.
LambdaMode = Literal["trainable", "frozen", "function"]
LambdaNorm = Literal["softmax", "none"]
Pooling = Literal["max", "mean", "max+mean", "attention"]

# Of the tagger: its head, and how tags mark spans (Ramshaw and Marcus 1995; Ratinov and Roth 2009).
TagHead = Literal["auto", "linear", "crf"]
Scheme = Literal["plain", "iob1", "iob2", "bioes", "bilou"]
SchemeChoice = Literal["auto", "plain", "iob1", "iob2", "bioes", "bilou"]

# Of static vectors.
BaselineMethod = Literal["svd", "word2vec"]
Word2VecAlgorithm = Literal["skip-gram", "cbow"]
SvdWeighting = Literal["raw", "log", "ppmi"]

# Of what is written. The number of a layer is a choice of layers too.
NamedLayers = Literal["all", "top", "average"]
DumpPooling = Literal["none", "mean", "max"]
DumpFormat = Literal["hdf5", "npz", "parquet", "jsonl"]
Dtype = Literal["float32", "float16"]
ExportFormat = Literal["bilm-tf", "static"]
ImportFormat = Literal["auto", "bilm-tf", "many-langs"]
EvaluationReference = Literal["ngram"]
PredictionFormat = Literal["csv", "jsonl", "conll"]
