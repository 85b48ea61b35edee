"""Pages for people, as a web application that knows nothing of who serves it or who may see it."""
