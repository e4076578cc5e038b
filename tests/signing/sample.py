"""Random requests, with all that makes signatures go wrong."""

import json
import string
from urllib.parse import quote

WORDS = ["a", "model", "Zürich", "你好", "🙂", "x y", "a+b", "100%", "c:d@e", "~-._", "q'\"", "(p)", "a/b", "=", "&", "*!", ",;", "%41", "#"]
PLAIN = string.ascii_letters + string.digits
METHODS = ["POST", "POST", "POST", "GET", "PUT", "DELETE"]
TYPES = ["application/json", "application/json; charset=utf-8"]
# What may stand in a path or a query as it is, beside what every scheme leaves as it is.
LAX = "!$'()*,:@;"


def text(dice, least=1, most=24, of=PLAIN):
    return "".join(dice.choice(of) for _ in range(dice.randint(least, most)))


def word(dice):
    return dice.choice(WORDS) if dice.random() < 0.6 else text(dice)


def path(dice):
    """A path as it goes out: every segment encoded, some of them no more than they must be."""
    segments = [quote(word(dice), safe=dice.choice(["", "-_.~", LAX])) for _ in range(dice.randint(0, 5))]
    return "/" + "/".join(segments) + ("/" if segments and dice.random() < 0.2 else "")


def pairs(dice, twice=True):
    """Parameters; with `twice`, a name may come more than once."""
    found = [(word(dice), "" if dice.random() < 0.15 else word(dice)) for _ in range(dice.choice([0, 0, 1, 2, 5]))]
    if twice and found and dice.random() < 0.3:
        found.append((found[0][0], word(dice)))
    return found if twice else list(dict(found).items())


def query(dice, parameters):
    """The parameters as they go out, in their own order."""
    encoded = []
    for name, value in parameters:
        safe = dice.choice(["", "-_.~", LAX])
        encoded.append(quote(name, safe=safe) + ("" if not value and dice.random() < 0.3 else "=" + quote(value, safe=safe)))
    return "&".join(encoded)


def url(base, path, query):
    return base + path + ("?" + query if query else "")


def body(dice):
    kind = dice.randrange(6)
    if kind == 0:
        return ""
    if kind == 1:
        return " ".join(word(dice) for _ in range(dice.randint(1, 400)))
    told = {"model": word(dice), "messages": [{"role": "user", "content": word(dice) + "\n\t" + word(dice)}], "n": dice.random()}
    return json.dumps(told, ensure_ascii=kind == 2, indent=1 if kind == 3 else None)


def place(dice, domain="example.com"):
    port = dice.choice(["", "", ":443", ":8443"])
    return f"{text(dice, 3, 12, string.ascii_lowercase)}.{domain}{port}"


def host(place):
    return place.removesuffix(":443")


def now(dice):
    """Milliseconds since 1970: within twenty years or so, and at the turns of a few of them."""
    turns = [1767225599, 1767225600, 1709164800, 1709251199, 946684800]
    seconds = dice.choice(turns) if dice.random() < 0.1 else dice.randint(1_500_000_000, 2_100_000_000)
    return seconds * 1000 + dice.choice([0, 0, 1, 499, 999])


def secret(dice):
    return text(dice, 16, 44, PLAIN + "+/=-_")


def key(dice):
    """An access key; every other one with the token of a session."""
    session = secret(dice) * dice.randint(1, 20) if dice.random() < 0.5 else None
    return {"id": "FAKE" + text(dice, 8, 20), "secret": secret(dice), "session": session}
