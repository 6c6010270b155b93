"""Runs as one page and as figures."""
