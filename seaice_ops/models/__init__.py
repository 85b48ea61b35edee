"""What every stage that trains or applies a model shares: architectures, preprocessing, prediction, the registry."""
