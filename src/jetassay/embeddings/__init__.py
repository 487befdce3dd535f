"""Embeddings: computed once, stored in shards, given to tasks."""
