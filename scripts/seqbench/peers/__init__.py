"""Other libraries, timed from Python."""
