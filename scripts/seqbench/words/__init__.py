"""Tables and sentences for a reader."""
