"""Features of wav2vec 2.0, HuBERT and WavLM checkpoints, by the package `transformers`."""
