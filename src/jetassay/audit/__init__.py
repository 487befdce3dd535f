"""Proof that a backbone sees no truth, and that its numbers rest on nothing else than the jets."""
