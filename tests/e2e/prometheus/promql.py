"""The metrics and label values in a PromQL expression, found by words. Prometheus itself checks the grammar."""

import re

WORDS = {
    "and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset", "inf", "nan",
}
MATCHER = re.compile(r'([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')


def metrics(expression):
    """The names of all metrics in it."""
    text = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    text = re.sub(r"\{[^}]*\}", "{}", text)
    text = re.sub(r"\[[^\]]*\]", "[]", text)
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", text)
    names = set()
    for word in re.finditer(r"[a-zA-Z_:][\w:]*", text):
        called = text[word.end():].lstrip().startswith("(")
        part_of_number = word.start() > 0 and text[word.start() - 1].isdigit()
        if not called and not part_of_number and word[0].lower() not in WORDS:
            names.add(word[0])
    return names


def label_values(expression):
    """Pairs of label and literal value. The alternatives of a regular expression are split; wildcards are left out."""
    pairs = set()
    for selector in re.finditer(r"\b(wonder_signer_\w+)\s*\{([^}]*)\}", expression):
        for label, _, value in MATCHER.findall(selector[2]):
            for alternative in value.split("|"):
                if re.fullmatch(r"[\w]+", alternative):
                    pairs.add((selector[1], label, alternative))
    return pairs
