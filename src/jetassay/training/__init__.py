"""Training of the weights that ship: recipe, sample, loop, evaluation, card."""
