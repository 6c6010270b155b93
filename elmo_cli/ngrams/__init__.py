"""Counted n-grams of words and characters, as a linear classifier that stands beside an embedder's.

`features` counts and weights, `classifier` fits, `joint` lets both answer together, `stored` makes tensors of it.
"""
