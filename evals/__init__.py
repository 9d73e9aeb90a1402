"""Evaluation of retrieval and answers, run as `python -m evals`."""
