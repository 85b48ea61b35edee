"""Labelled scenes to a model: snapshot, chips, Horovod ranks, evaluation, gate, promotion."""
