"""Labels of pictures that have a true colour only."""
