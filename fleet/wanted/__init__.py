"""What each box should run: one document with revisions, signed, published until the broker has it, said on hello."""
