"""Scores of models and the gate that promotes them."""
