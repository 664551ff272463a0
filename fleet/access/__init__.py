"""Who may do what on the operator's side: people with roles, programs with tokens."""
