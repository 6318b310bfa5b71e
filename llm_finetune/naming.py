"""Whether a free answer names a given one."""

import re
import unicodedata

__all__ = ["mentions"]

UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x109F),  # Tibetan, Burmese
    (0x1100, 0x11FF),  # Korean letters: particles follow a name without space
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),
    (0x3040, 0x30FF),  # Japanese syllables
    (0x3400, 0x9FFF),  # Chinese characters
    (0xAC00, 0xD7AF),  # Korean syllables
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
"""Code points of scripts in which words stand side by side without spaces."""

CLAUSE = re.compile(r"[.,;:!?\n。，、；：！？]|\b(?:but|sondern|aber|mais|pero|sino)\b|而是|但")

NOT = (
    r"(?:not(?! only)|no(?! doubt)|never|neither|nor|without|cannot|nicht(?! nur)|kein\w*|nie|ohne|pas|jamais|sans"
    r"|nunca|sin|non|não)"
)
DENIED_BEFORE = re.compile(rf"(?:\b{NOT}\b|n['’]t\b)|不(?![列过過仅僅但错錯久])|[没沒](?![错錯])|并非|並非")
DENIED_AFTER = re.compile(
    rf"\s*(?:(?:is|was|are|does|did|ist|war|n['’]est|est|es|era)(?:\s+{NOT}\b|n['’]t\b)"
    r"|(?:に|で|と|の|から)*(?:では|じゃ|には|は)(?:なく|ない|ありません|いません|住んでいません)|(?:이|가|은|는)?\s*아니|不是|没有)"
)


def mentions(said: str, answer: str) -> bool:
    """Whether a free answer names the given one, whole and in whatever case, and does not deny it.

    A name is a whole word; in scripts without spaces between words, such as Chinese, Japanese and Thai, and in Korean,
    it may stand amid other letters. It is denied where a word such as *not* stands before it in its clause, or with a
    verb behind it; one mention that is not denied is enough. Negation is known in English, German, French, Spanish,
    Chinese, Japanese and Korean, in its common forms.

    Args:
        said: the free answer.
        answer: the name.

    Example:
        >>> mentions("Liz lives in london.", "London"), mentions("Londonderry", "London")
        (True, False)
        >>> mentions("Liz does not live in London, but in Rome.", "London"), mentions("她住在伦敦。", "伦敦")
        (False, True)
    """
    text, name = (unicodedata.normalize("NFKC", part).casefold().strip() for part in (said, answer))
    for found in re.finditer(re.escape(name), text):
        start, end = found.span()
        whole = not (_joined(text[start - 1 : start], name[:1]) or _joined(name[-1:], text[end : end + 1]))
        before = CLAUSE.split(text[:start])[-1]
        if whole and not DENIED_BEFORE.search(before) and not DENIED_AFTER.match(text, end):
            return True
    return False


def _joined(left: str, right: str) -> bool:
    """Whether two neighbouring characters belong to one word."""
    return bool(re.fullmatch(r"\w\w", left + right)) and not (_is_unspaced(left) or _is_unspaced(right))


def _is_unspaced(letter: str) -> bool:
    return any(low <= ord(letter) <= high for low, high in UNSPACED)
