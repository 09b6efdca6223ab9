"""Makes text of unknown origin safe for a terminal, a log and a page."""


def printable(text: str) -> str:
    """The text in one line; characters that could move the cursor, colour or reorder are escaped."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
