"""Generated parts of the documents: made from the code, so that they cannot differ from it."""
