"""The second step: what is forgiven is noted of each box of a rollout, and a layer's revisions are never used again.

What was forgiven before was a number of each hardware class, of which boxes nobody knows: it is forgotten, and a class
that halts for it again waits for a person. Columns are left out by copying, as SQLite before 3.35 drops none.
"""

from __future__ import annotations

CHANGES = """
ALTER TABLE rollout_device ADD COLUMN forgiven BOOLEAN NOT NULL DEFAULT FALSE;
CREATE TABLE rollout_class_new (
    rollout BIGINT NOT NULL, hardware_class VARCHAR(64) NOT NULL, state VARCHAR(16) NOT NULL,
    wave INTEGER NOT NULL, opened_ms BIGINT, soaking_ms BIGINT, reason TEXT NOT NULL,
    PRIMARY KEY (rollout, hardware_class)
);
INSERT INTO rollout_class_new
    SELECT rollout, hardware_class, state, wave, opened_ms, soaking_ms, reason FROM rollout_class;
DROP TABLE rollout_class;
ALTER TABLE rollout_class_new RENAME TO rollout_class;
CREATE TABLE layer_removed (
    kind VARCHAR(16) NOT NULL, name VARCHAR(64) NOT NULL, revision BIGINT NOT NULL, PRIMARY KEY (kind, name)
);
"""
