"""What a conversion came to, as a page for a person and as JSON for a program."""
