"""Training CLIP-ITA on a catalogue. Needs the `train` extra."""
