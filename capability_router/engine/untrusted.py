"""Text that others wrote, made fit to be shown and kept.

What a provider says may hold a key that it quotes, and characters that a terminal obeys: colours,
moves of the cursor, a line that looks like another log record, letters that run backwards. Knows
no provider; every text of one that is kept goes through here.
"""

from __future__ import annotations

import re

__all__ = ["escaped", "shown", "without"]

_LONGEST_SHOWN = 300
_LONGEST_READ = 4000
"""Characters that are looked at: those behind them would be cut anyway, escapes included."""
_SHORTEST_SECRET = 8
"""Characters: a shorter text is no key, and may be part of any sentence."""
_HIDDEN = "***"

_KEYS = re.compile(
    # Prefixes of vendors' keys; then of Google and of AWS; then a signed token.
    r"\b(?:sk|pk|rk|gsk|xai|hf|r8|nvapi|pplx|fw|csk|jina|tgp|voy|glpat|ghp)[-_][\w-]{8,}"
    r"|\bAIza[\w-]{16,}|\bya29\.[\w-]{8,}|\b(?:AKIA|ASIA)[A-Z0-9]{12,}"
    r"|\beyJ[\w-]{8,}(?:\.[\w-]+){1,4}"
)
_NAMED = re.compile(
    # What stands behind the name of a credential, in a sentence, a header, JSON or a query.
    r"""((?:\bapi[ _-]?key|\btoken|\bsecret|\bpassword|\bauthorization)(?:\ (?:provided|is|of))?"""
    r"""["']?\ ?[:=]\ ?["']?(?:(?:bearer|basic)\ )?|\b(?:bearer|basic)\ |[?&](?:key|sig)=)"""
    r"""[^\s"'&,;)<>]{8,}""",
    re.IGNORECASE,
)
_USER = re.compile(r"(?<=://)[^\s/@]{1,200}@")


def shown(text: str) -> str:
    """Return what can be shown of a text: without keys, escaped, and at most 300 characters.

    What has the shape of a key, or stands where a credential is named, is hidden by its look alone;
    ``without`` hides one that is known.
    """
    return escaped(_without_keys(text[:_LONGEST_READ]))[:_LONGEST_SHOWN]


def escaped(text: str) -> str:
    r"""Return a text in which what does not print is written out, such as ``\n`` and ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def without(text: str, secret: str) -> str:
    """Return a text in which a secret is hidden; one of fewer than 8 characters is left.

    The text may have been cut: an end that is the beginning of the secret is hidden as well.
    """
    if len(secret) < _SHORTEST_SECRET:
        return text
    text = text.replace(secret, _HIDDEN)
    for length in range(min(len(secret), len(text)), 3, -1):
        if text.endswith(secret[:length]):
            return text[:-length] + _HIDDEN
    return text


def _without_keys(text: str) -> str:
    text = _NAMED.sub(rf"\1{_HIDDEN}", _KEYS.sub(_HIDDEN, text))
    return _USER.sub(f"{_HIDDEN}@", text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
