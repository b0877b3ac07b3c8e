"""Labels, corpora and annotations of other people, read into stores; synthetic sequences from them."""
