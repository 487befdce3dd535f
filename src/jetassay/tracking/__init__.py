"""Scores as MLflow runs, with everything they depend on; the only stage that imports mlflow."""
