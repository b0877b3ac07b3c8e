"""Training of networks on single frames."""
