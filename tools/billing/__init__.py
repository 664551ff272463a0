"""A reference consumer: counts of any number of boxes, each once, added up to a bill that says what is missing."""
