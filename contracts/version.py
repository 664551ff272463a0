"""The version of edgetally, by semver; the wheel takes it from here."""

VERSION = "0.1.0"
