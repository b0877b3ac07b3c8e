"""Where the rows of `va live` go while they are predicted: files, web pages and Lab Streaming Layer."""
