"""What the fleet side remembers, in SQLite on one machine or in PostgreSQL beyond it."""
