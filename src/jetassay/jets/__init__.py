"""Stage 1: files to jets, with truth kept apart."""
