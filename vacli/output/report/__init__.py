"""Reports as web pages: one self-contained file for each recording, and an index."""
