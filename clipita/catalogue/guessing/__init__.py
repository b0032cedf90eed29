"""Guesses how a catalogue of another system is to be read."""
