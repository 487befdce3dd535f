"""Backbones: cards, architectures, weights, and the networks made of them."""
