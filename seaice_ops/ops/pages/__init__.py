"""The pages for operators, as a web application without any login of its own."""
