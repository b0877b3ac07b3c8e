"""The probability of speech in a sound."""
