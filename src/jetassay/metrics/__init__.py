"""Numbers from scores and embeddings: pure functions of arrays, without files, networks or global state."""
