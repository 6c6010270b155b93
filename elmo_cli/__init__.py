"""ELMo for everyone: train a bidirectional language model on your own text, and use it."""

__version__ = "0.1.0"
