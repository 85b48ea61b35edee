"""What a pixel can be: class codes, viewing conditions, quality flags, and the scores over them."""
