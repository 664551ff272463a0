"""How a box gets its identity: an invitation, a key of its own, a certificate, and whom it trusts."""
