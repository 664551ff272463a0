"""Making context binaries for Qualcomm's HTP: the graph prepared, quantised, and compiled in a child process."""
