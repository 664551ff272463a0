"""The operator's console: pages for people, an HTTP API for programs, metrics for Prometheus."""
