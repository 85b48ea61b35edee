"""The training loop, its steps and checkpoints."""
