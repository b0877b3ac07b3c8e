"""The face network of the bundled model."""
