"""The pictures that a model is calibrated and judged on: found, told apart, chosen, put into the input."""
