"""Programs that an isolated Python runs: the standard library and their own environment's packages, nothing of ours."""
