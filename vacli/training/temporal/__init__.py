"""Training of temporal models on stores."""
