"""Generates parts of the documents from the code, so that they cannot differ from it."""
