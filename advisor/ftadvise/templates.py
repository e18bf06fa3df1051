"""Chat templates as text: the marks around answers, and the formats that several families share.

A template says with `{% generation %}` ... `{% endgeneration %}` what the model has to say. To learn
where that ends up in the rendered text, the marks are turned into two characters that Unicode
keeps free for such internal use; they are found again afterwards and taken out.
"""

from __future__ import annotations

import re

OPEN, CLOSE = "\ufdd0", "\ufdd1"

_MARK = re.compile(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}")

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\n' }}"
    "{% else %}"
    "{{ message['content'] + '<|im_end|>\n' }}"
    "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""The format of Qwen, SmolLM and many others."""

PLAIN = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}"
    "{{ '### Assistant:\n' }}"
    "{% generation %}{{ message['content'] + eos_token }}{% endgeneration %}{{ '\n\n' }}"
    "{% elif message['role'] == 'system' %}"
    "{{ message['content'] + '\n\n' }}"
    "{% else %}"
    "{{ '### User:\n' + message['content'] + '\n\n' }}"
    "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '### Assistant:\n' }}{% endif %}"
)
"""For models that never saw a chat: no special token but the end of sequence."""


def has_marks(template: str) -> bool:
    """Say whether a template marks what the model has to say."""
    return bool(_MARK.search(template))


def without_marks(template: str) -> str:
    """Return the template without its marks: what engines other than transformers can render."""
    return _MARK.sub(_nothing, template)


def with_visible_marks(template: str) -> str:
    """Return the template with marks that survive the rendering, for `answers` to find."""
    return _MARK.sub(_character, template)


def answers(rendered: str) -> tuple[str, list[tuple[int, int]]]:
    """Return the text without its visible marks, and where each marked part begins and ends."""
    parts: list[str] = []
    spans: list[tuple[int, int]] = []
    length = start = 0
    for part in re.split(f"([{OPEN}{CLOSE}])", rendered):
        if part == OPEN:
            start = length
        elif part == CLOSE:
            spans.append((start, length))
        else:
            parts.append(part)
            length += len(part)
    return "".join(parts), spans


# A mark is a block, and Jinja trims white space around blocks. An `if` in its place keeps that.


def _nothing(mark: re.Match[str]) -> str:
    left, _, right = mark.groups()
    before, after = mark.string[: mark.start()][-1:], mark.string[mark.end() :][:1]
    if not (left or right or before.isspace() or after.isspace()):
        return ""
    return f"{{%{left} if true %}}{{% endif {right}%}}"


def _character(mark: re.Match[str]) -> str:
    left, end, right = mark.groups()
    character = CLOSE if end else OPEN
    return f"{{%{left} if true %}}{{{{ '{character}' }}}}{{% endif {right}%}}"
