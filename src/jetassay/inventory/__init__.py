"""What a suite takes of the cache: planned before it runs, checked, and told apart from what no run needs."""
