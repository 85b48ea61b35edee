"""Ranks of a training job: their launch, communication and end."""
