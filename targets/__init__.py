"""Hardware targets as data: one TOML each, and the loader."""
