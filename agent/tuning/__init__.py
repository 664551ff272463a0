"""Finding, on this very box and while it counts, which form of the model in which setting runs best."""
