"""The test kit for HTTP providers: every verb, repeated, out of order, at once, and killed in between."""
