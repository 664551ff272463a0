"""How far counts are from the truth, for what goes wrong at a roadside: ``make bench-counting``."""
