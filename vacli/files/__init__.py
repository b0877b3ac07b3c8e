"""Files on disk: written atomically, checked by digest, with one message for a full disk."""
