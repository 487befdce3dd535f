"""What is asked of a backbone: pure functions of embeddings and labels that give scores."""
