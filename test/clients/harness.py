"""What the Python clients share: results as lines, and the check that an error shows no value."""

import sys
import traceback

CANARY = "Kanary"
failed = 0


def ok(good, what, detail=""):
    global failed
    print(("ok" if good else "not ok") + " - " + what + ("" if good or detail == "" else ": " + str(detail)), flush=True)
    failed += not good


def same(got, expected, what):
    ok(got == expected, what, "got %r, expected %r" % (got, expected))


def refused(action, what, code=None):
    """The action fails, with the SQLSTATE if one is given, and what it says does not show a value."""
    try:
        action()
    except Exception as error:  # every driver has its own classes
        said = str(error) + repr(getattr(error, "diag", ""))
        cause = error
        while cause is not None and not (getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)):
            cause = getattr(cause, "orig", None) or cause.__cause__
        state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
        ok(CANARY not in said and (code is None or state == code), what, "%s %s" % (state, said))
    else:
        ok(False, what, "no error")


def run(name, main):
    """Runs main(); what it does not catch counts as one failure."""
    try:
        main()
    except Exception:
        ok(False, name + " ended badly", traceback.format_exc().replace("\n", "\n# "))
    sys.exit(1 if failed else 0)
