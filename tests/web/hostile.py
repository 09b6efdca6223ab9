"""Two hundred texts that a page, a database, a terminal or a path could stumble over, made from kinds."""

from collections.abc import Iterable
from itertools import product
from typing import Final

from saga_app import topics
from saga_app.core.errors import Fault, Rejected
from saga_app.core.numbers import Offset
from saga_app.dead_letters import format as letter_format
from saga_app.kafka import messages
from tests.orderdb.batches import FakeMessage

_HTML: Final = (
    "<script>alert({n})</script>",
    "<img src=x onerror=alert({n})>",
    '"><svg onload=alert({n})>',
    "'><iframe src=javascript:alert({n})>",
    "</title><script>alert({n})</script>",
    "</pre></code><h1>{n}</h1>",
    "<!-- {n}",
    "<style>body{{display:none}}</style>{n}",
    "<base href=//example.test/{n}>",
    "<meta http-equiv=refresh content=0;url=//example.test/{n}>",
    "<a href='javascript:alert({n})'>x</a>",
    "<form action=//example.test/{n}><button>x",
    "&lt;script&gt;alert({n})&lt;/script&gt;",
    "&#x3c;img src=x onerror=alert({n})&#x3e;",
    "<math><mtext></mtext><mglyph><style><img onerror=alert({n})>",
)
_CODE: Final = (
    "javascript:alert({n})",
    "data:text/html,<script>alert({n})</script>",
    "'); DROP TABLE orders; -- {n}",
    "' OR {n}={n} --",
    "{{{{ {n} * {n} }}}}",
    "{{% raw %}}{n}{{% endraw %}}",
    "${{{n}}} #{{{n}}} %s %({n})s {{0}}",
    "$(touch {n}) `id` | cat",
    "\\x3cscript\\x3e{n}",
    "data: {n}\n\nevent: close\n\n",
)
_PATHS: Final = (
    "../../../etc/passwd?{n}",
    "..%2f..%2f{n}",
    "%2e%2e/{n}#x",
    "%00{n}",
    "//example.test/{n}",
    "a/b/{n}",
    "?state=OPEN&{n}",
    "%{n}zz",
    "\\\\host\\{n}",
    "+ {n} ;x=1",
)
_TEXT: Final = (
    "\u202e{n} gnorw si siht",
    "\u2066{n}\u2069\u200b\u200e\ufeff",
    "\x1b[2J\x1b[31m{n}",
    "\x07\x08\x7f{n}",
    "a\r\nSet-Cookie: {n}=1",
    "\ud83d{n}".encode("utf-8", "replace").decode(),
    "\U0001f4a3\U0001f468\u200d\U0001f469\u200d\U0001f467{n}",
    "Z\u0351\u036b\u0343\u036a\u0302{n}" * 3,
    "\u0627\u0644\u0637\u0644\u0628 {n}",
    "\uff1cscript\uff1e{n}",
)
_LONG: Final = ("x{n}" * 60, "{n} " * 100, "\u4e2d{n}" * 80, "W{n}-" * 50, "{n}." * 120)
_KINDS: Final = (*_HTML, *_CODE, *_PATHS, *_TEXT, *_LONG)

#: All different; none is an id that a record may have.
STRINGS: Final = tuple(kind.format(n=number) for number, kind in product((1, 22, 333, 4444), _KINDS))
#: Offset of the first dead letter.
FIRST: Final = 1_000_000


def letters(texts: Iterable[str]) -> list[FakeMessage]:
    """A dead letter with each text as its key, its value, a header and in what is said of it."""
    found = []
    for number, text in enumerate(texts):
        data = text.encode()
        message = messages.Message(Offset(FIRST + number), 1_700_000_000_000, data, data, ((text, data),))
        letter = letter_format.dead_letter(topics.CHECKOUT, 3, message, Rejected(Fault.INVALID, text[:300]))
        found.append(
            FakeMessage(
                letter.topic, FIRST + number, letter.value, letter.key or b"", message.time, letter.headers
            )
        )
    return found
