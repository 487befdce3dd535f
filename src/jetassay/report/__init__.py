"""Tables, figures and pages of scores; knows nothing of how a score was made."""
