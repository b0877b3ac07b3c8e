"""Tables and figures for people and other programs."""
