"""One function for each command: the Python API."""
