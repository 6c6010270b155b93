"""Activations to scores: perplexity, classification scores, significance tests."""
