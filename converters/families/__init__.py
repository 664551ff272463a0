"""One module per target family: each writes artifacts of one file format."""
