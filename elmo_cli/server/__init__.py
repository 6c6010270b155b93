"""Runs behind HTTP: `elmo serve`.

`operations` are what is computed for texts, `batcher` puts texts of several clients into one batch, `service` leads a
request there and back. `requests` says what may be asked, `openai` and `routes` answer, `guard` refuses what is too
large, too slow or without a key, `app` puts these together.
"""
