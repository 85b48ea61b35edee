"""Labelling as a Spark application."""
