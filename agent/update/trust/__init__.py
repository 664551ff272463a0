"""Which models are released, by whom: metadata of a repository that was verified (The Update Framework)."""
