"""Data configurations of weaver, read into feature sets."""
