"""The tables of enrolment as the second version made them; never changed, as later steps start from these."""

from __future__ import annotations

TABLES = """
CREATE TABLE enrol_token (
    id VARCHAR(16) NOT NULL, token_sha256 VARCHAR(64) NOT NULL, title VARCHAR(160) NOT NULL, uses INTEGER NOT NULL,
    used INTEGER NOT NULL, names VARCHAR(64) NOT NULL, only_for TEXT NOT NULL, labels TEXT NOT NULL,
    created_ms BIGINT NOT NULL, expires_ms BIGINT NOT NULL, revoked_ms BIGINT, PRIMARY KEY (id)
);
CREATE TABLE enrolled (
    device VARCHAR(64) NOT NULL, state VARCHAR(16) NOT NULL, serial VARCHAR(128), changed_ms BIGINT NOT NULL,
    PRIMARY KEY (device)
);
CREATE TABLE certificate (
    fingerprint VARCHAR(64) NOT NULL, serial VARCHAR(40) NOT NULL, device VARCHAR(64) NOT NULL,
    key_sha256 VARCHAR(64) NOT NULL, token VARCHAR(16), issued_ms BIGINT NOT NULL, expires_ms BIGINT NOT NULL,
    revoked_ms BIGINT, PRIMARY KEY (fingerprint)
);
CREATE INDEX certificate_by_device ON certificate (device);
CREATE INDEX certificate_by_key ON certificate (key_sha256);
CREATE INDEX certificate_by_revocation ON certificate (revoked_ms);
"""
