"""What is known of every box, and how to ask for some of them; pure rules, no database and no network."""
