"""Rolling a release out: what is planned, judged and allowed. Pure: no database, no clock."""
