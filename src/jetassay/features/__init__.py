"""Input recipes: from observed jets to what a backbone sees."""
