"""The graph of stages and what surrounds a stage's work.

`preset` reads settings, `items` multiplies them out, `graph` reads dvc.yaml, `state` says what of a stage has changed since it
last ran, `missing` what cannot run, and `run` gives a stage its files, log, lock, checkpoints and record. None of it is part of
a result: stages do not depend on this code (see `closure`).
"""
