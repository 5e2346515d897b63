"""Copies and moves of stores: what arrives is what was there, whatever happens on the way."""
