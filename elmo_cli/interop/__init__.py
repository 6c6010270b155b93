"""Weights and dumps of other projects."""
