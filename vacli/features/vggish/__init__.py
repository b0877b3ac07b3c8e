"""VGGish: log-mel patches and 128 numbers a patch."""
