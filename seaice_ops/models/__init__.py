"""Models: architectures, preprocessing, prediction, and the registry. Shared by mapping and training."""
