"""Defects of a carrier: for each, the rule of the test kit that must find it, and the texts that stand in its place."""

from typing import Final

from saga_app.effects.check import rules
from tests.support.blocks import ROOT

CARRIER: Final = (ROOT / "examples/carrier/carrier.py").read_text("utf-8")

_DONE: Final = """return "done", f"parcel-{call['effect']}\""""
_INSERT: Final = '    db.execute("INSERT INTO effects'
_FOUND: Final = "[found] = rows("
_RETURN: Final = "    return found\n\n\n"
_LOOK: Final = 'rows(db, "SELECT outcome, reference FROM effects WHERE effect = ?", call["effect"])'
_BEGIN: Final = '    db.execute("BEGIN IMMEDIATE")\n'
_COMMIT: Final = '    db.execute("COMMIT")\n'
_TOKEN: Final = """\
        if TOKEN and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            status, content = 401, {"detail": "the token is wrong"}
"""
_NOTHING: Final = "        if content is None:\n"


def _not_written(action: str, before: str = "") -> dict[str, str]:
    """A call with this verb leaves no trace."""
    return {
        _INSERT: f'{before}    call["action"] == "{action}" or db.execute("INSERT INTO effects',
        _FOUND: "found = rows(",
        _RETURN: '    return found[0] if found else {"outcome": "refused"}\n\n\n',
    }


DEFECTS: Final[dict[str, tuple[rules.Rule, dict[str, str]]]] = {
    "everything is refused": (
        rules.do_is_done_and_has_a_reference,
        {_DONE: 'return "refused", None'},
    ),
    "what is done has no name": (
        rules.do_is_done_and_has_a_reference,
        {_DONE: 'return "done", None'},
    ),
    "it is never ready": (
        rules.do_is_done_and_has_a_reference,
        {_DONE: 'return "pending", None'},
    ),
    "an answer has a field of its own": (
        rules.do_is_done_and_has_a_reference,
        {_RETURN: '    return found | {"tracking": "1"}\n\n\n'},
    ),
    "a repeat is done anew": (
        rules.a_verb_that_is_repeated_says_the_same,
        {"ON CONFLICT DO NOTHING": "ON CONFLICT DO UPDATE SET outcome = excluded.outcome"},
    ),
    "the reference is made of the call": (
        rules.a_call_that_does_not_know_the_reference_yet_means_the_same_effect,
        {_RETURN: """    return {**found, "reference": f"p{call['age']}"}\n\n\n"""},
    ),
    "it looks before it writes, and both are apart": (
        rules.do_at_once_is_done_once,
        {
            "effect TEXT PRIMARY KEY": "effect TEXT",
            "ON CONFLICT DO NOTHING": "",
            _BEGIN: f"    known = {_LOOK}\n    import time; time.sleep(0.05)\n",
            _INSERT: '    known or db.execute("INSERT INTO effects',
            f"[found] = {_LOOK}": f"found = {_LOOK}[0]",
            _COMMIT: "",
        },
    ),
    "it goes by the order": (
        rules.another_effect_of_the_same_order_is_another_effect,
        {"parcel-{call['effect']}": "parcel-{call['order']['order_id']}"},
    ),
    "prevent only looks": (rules.prevent_seals, _not_written("prevent")),
    "prevent only looks while do is slow": (
        rules.do_and_prevent_at_once_agree,
        {
            _BEGIN: '    call["action"] == "do" and __import__("time").sleep(0.1)\n' + _BEGIN,
            **_not_written("prevent"),
        },
    ),
    "undo of nothing leaves no trace": (
        rules.undo_of_an_effect_that_never_was_seals_too,
        _not_written("undo"),
    ),
    "undo forgets": (
        rules.an_effect_that_is_undone_stays_so,
        {_COMMIT: """    db.execute("DELETE FROM effects WHERE outcome = 'undone'")\n""" + _COMMIT},
    ),
    "it is found as it was": (
        rules.an_effect_is_found_as_it_is_now,
        {
            "UPDATE effects SET outcome = 'undone'": "UPDATE effects SET step = step",
            _RETURN: '    return {**found, "outcome": "undone"} if call["action"] == "undo" else found\n\n\n',
        },
    ),
    "an effect that nobody asked for is an error": (
        rules.an_effect_that_nobody_asked_for_is_not_found,
        {_NOTHING + "            status, content = 404": _NOTHING + "            status, content = 500"},
    ),
    "the ledger has everything": (
        rules.the_ledger_has_each_effect_once,
        {"WHERE at >= ? ORDER BY at": "WHERE ? != '' ORDER BY at"},
    ),
    "a new field is a mistake": (
        rules.a_new_field_of_a_call_is_ignored,
        {'or not call["order"]["order_id"]': 'or "new_field" in call'},
    ),
    "what is no call is no error": (
        rules.what_is_no_call_is_an_error_of_the_caller,
        {'self.send(400, {"detail"': 'self.send(200, {"detail"'},
    ),
    "the token is looked at too late": (
        rules.without_the_token_nothing_is_told,
        {_TOKEN: "", _NOTHING: _TOKEN + _NOTHING},
    ),
}
#: It keeps its effects in memory, and a kill is the end of them.
FORGETFUL: Final = {
    "sqlite3.connect(given.file": 'sqlite3.connect("file:carrier?mode=memory&cache=shared", uri=True',
    "uri=True)) as db:\n        db.execute(TABLE)": (
        'uri=True)):\n        kept = sqlite3.connect("file:carrier?mode=memory&cache=shared", uri=True)\n'
        "        kept.execute(TABLE)"
    ),
}


def _captures(taken: str) -> dict[str, str]:
    """A payment service: a capture of what this condition finds is one."""
    update = f"UPDATE effects SET outcome = 'captured' WHERE effect = ? AND outcome {taken}"
    return {
        _FOUND: f"""call["action"] == "capture" and db.execute("{update}", names[:1])\n    {_FOUND}""",
    }


CAPTURES: Final = _captures("= 'done'")
CAPTURE_DEFECTS: Final[dict[rules.Rule, dict[str, str]]] = {
    # A capture that says what was asked for, and not what is true.
    rules.what_is_authorised_is_captured_once: {},
    rules.an_authorisation_that_is_let_go_is_not_captured: _captures("IN ('done', 'undone')"),
    rules.what_was_never_authorised_is_not_captured: _captures("IN ('done', 'refused')"),
}
