"""Vision transformers and other image networks of timm."""
