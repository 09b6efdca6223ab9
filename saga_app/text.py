"""Text of unknown origin, made safe for a terminal, a log and a page."""


def printable(text: str) -> str:
    """The text in one line: what could move the cursor, colour or reorder is written as an escape."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
