"""The tables as the first released version made them; never changed, as later steps start from these."""

from __future__ import annotations

TABLES = """
CREATE TABLE device (
    device VARCHAR(64) NOT NULL, first_heard_ms BIGINT NOT NULL, last_seen_ms BIGINT, online BOOLEAN,
    hardware_class VARCHAR(64) NOT NULL, known TEXT NOT NULL, PRIMARY KEY (device)
);
CREATE INDEX device_by_class ON device (hardware_class);
CREATE TABLE device_change (
    id {number} NOT NULL, device VARCHAR(64) NOT NULL, at_ms BIGINT NOT NULL, what VARCHAR(160) NOT NULL,
    before TEXT, after TEXT, PRIMARY KEY (id)
);
CREATE INDEX device_change_by_device ON device_change (device, id);
CREATE TABLE layer (
    kind VARCHAR(16) NOT NULL, name VARCHAR(64) NOT NULL, query TEXT NOT NULL, rank INTEGER NOT NULL,
    body TEXT NOT NULL, revision BIGINT NOT NULL, changed_ms BIGINT NOT NULL, changed_by VARCHAR(64) NOT NULL,
    PRIMARY KEY (kind, name)
);
CREATE TABLE stale (
    device VARCHAR(64) NOT NULL, since_ms BIGINT NOT NULL, PRIMARY KEY (device)
);
CREATE TABLE wanted (
    device VARCHAR(64) NOT NULL, epoch BIGINT NOT NULL, config_revision BIGINT NOT NULL, config TEXT NOT NULL,
    problem TEXT, model_revision BIGINT NOT NULL, models TEXT NOT NULL, document TEXT NOT NULL,
    expires_ms BIGINT NOT NULL, waits_ms BIGINT, ahead BOOLEAN NOT NULL, PRIMARY KEY (device)
);
CREATE INDEX wanted_by_expiry ON wanted (expires_ms);
CREATE INDEX wanted_by_waiting ON wanted (waits_ms);
CREATE TABLE audit (
    id {number} NOT NULL, at_ms BIGINT NOT NULL, who VARCHAR(64) NOT NULL, via VARCHAR(16) NOT NULL,
    action VARCHAR(64) NOT NULL, subject VARCHAR(160) NOT NULL, summary TEXT NOT NULL, diff TEXT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX audit_by_subject ON audit (subject, id);
CREATE TABLE rollout (
    id {number} NOT NULL, spec TEXT NOT NULL, state VARCHAR(16) NOT NULL, reason TEXT NOT NULL,
    revision BIGINT NOT NULL, created_ms BIGINT NOT NULL, created_by VARCHAR(64) NOT NULL, ended_ms BIGINT,
    PRIMARY KEY (id)
);
CREATE INDEX rollout_by_state ON rollout (state);
CREATE TABLE rollout_class (
    rollout BIGINT NOT NULL, hardware_class VARCHAR(64) NOT NULL, state VARCHAR(16) NOT NULL,
    wave INTEGER NOT NULL, opened_ms BIGINT, soaking_ms BIGINT, reason TEXT NOT NULL, forgiven INTEGER NOT NULL,
    PRIMARY KEY (rollout, hardware_class)
);
CREATE TABLE rollout_device (
    rollout BIGINT NOT NULL, device VARCHAR(64) NOT NULL, hardware_class VARCHAR(64) NOT NULL,
    wave INTEGER NOT NULL, state VARCHAR(16) NOT NULL, attempts INTEGER NOT NULL, model_revision BIGINT NOT NULL,
    offered_ms BIGINT, changed_ms BIGINT NOT NULL, code VARCHAR(64), reason TEXT NOT NULL, previous TEXT,
    PRIMARY KEY (rollout, device)
);
CREATE INDEX rollout_device_by_device ON rollout_device (device);
CREATE INDEX rollout_device_by_state ON rollout_device (rollout, hardware_class, wave, state);
CREATE TABLE rollout_count (
    rollout BIGINT NOT NULL, hardware_class VARCHAR(64) NOT NULL, wave INTEGER NOT NULL,
    state VARCHAR(16) NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (rollout, hardware_class, wave, state)
);
CREATE TABLE rollout_event (
    id {number} NOT NULL, rollout BIGINT NOT NULL, at_ms BIGINT NOT NULL, hardware_class VARCHAR(64),
    what VARCHAR(32) NOT NULL, detail TEXT NOT NULL, PRIMARY KEY (id)
);
CREATE INDEX rollout_event_by_rollout ON rollout_event (rollout, id);
CREATE TABLE penalty (
    device VARCHAR(64) NOT NULL, since_ms BIGINT NOT NULL, until_ms BIGINT NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (device)
);
CREATE TABLE camera_count (
    device VARCHAR(64) NOT NULL, camera VARCHAR(64) NOT NULL, start_ms BIGINT NOT NULL,
    observed_seconds DOUBLE PRECISION NOT NULL, level_seconds DOUBLE PRECISION NOT NULL,
    crossings_in BIGINT NOT NULL, crossings_out BIGINT NOT NULL, PRIMARY KEY (device, camera, start_ms)
);
CREATE INDEX camera_count_by_start ON camera_count (start_ms);
CREATE TABLE camera_count_seq (
    device VARCHAR(64) NOT NULL, store_id VARCHAR(64) NOT NULL, seq BIGINT NOT NULL, PRIMARY KEY (device)
);
CREATE TABLE lease (
    name VARCHAR(64) NOT NULL, holder VARCHAR(128) NOT NULL, until_ms BIGINT NOT NULL, PRIMARY KEY (name)
);
CREATE TABLE setting (
    name VARCHAR(64) NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name)
);
CREATE TABLE console_user (
    name VARCHAR(64) NOT NULL, password_hash TEXT NOT NULL, role VARCHAR(16) NOT NULL, disabled BOOLEAN NOT NULL,
    created_ms BIGINT NOT NULL, PRIMARY KEY (name)
);
CREATE TABLE console_session (
    token_sha256 VARCHAR(64) NOT NULL, name VARCHAR(64) NOT NULL, csrf VARCHAR(64) NOT NULL,
    created_ms BIGINT NOT NULL, seen_ms BIGINT NOT NULL, PRIMARY KEY (token_sha256)
);
CREATE INDEX console_session_by_name ON console_session (name);
CREATE TABLE api_token (
    id VARCHAR(32) NOT NULL, token_sha256 VARCHAR(64) NOT NULL, name VARCHAR(64) NOT NULL,
    title VARCHAR(160) NOT NULL, scopes TEXT NOT NULL, created_ms BIGINT NOT NULL, expires_ms BIGINT NOT NULL,
    used_ms BIGINT, PRIMARY KEY (id), UNIQUE (token_sha256)
);
"""
