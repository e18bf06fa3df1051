"""Sixty strings that do harm where they are shown as they are, and an advice made of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import ftadvise
from ftadvise.rules.case import Finding
from ftadvise.run import Source

if TYPE_CHECKING:
    from ftadvise.advice import Advice
    from ftadvise.run import Run

TERMINAL = (
    "\x1b[2J\x1b[H\x1b[31mgone",  # clears the screen
    "\x1b]0;title\x07name",  # sets the title of the window
    "\x1b]8;;http://192.0.2.1/\x1b\\link\x1b]8;;\x1b\\",  # OSC 8: a link under other words
    "\x1b]52;c;cm0gLXJmIH4=\x07clip",  # OSC 52: writes the clipboard
    "\x1b]1337;File=inline=1:QUJD\x07",  # a picture of iTerm
    "\x1bPq#0;2;0;0;0\x1b\\sixel",  # a picture, DCS
    "\x1b_Gi=1;QUJD\x1b\\kitty",  # a picture of kitty, APC
    "\x1b[6n\x1b[c\x1b]10;?\x07",  # asks the terminal, which answers as if it were typed
    "\x1b[?1049h\x1b[?25l",  # another screen, no cursor
    "\x1b",  # the beginning of one, to be completed by what follows
    "\x9b31m\x9d8;;http://192.0.2.1/\x9c\x90\x85c1",  # C1: the same in one character
    "\xc2\x9b2Jutf8\x1b[38;2;1;2;3mrgb",  # C1 as its UTF-8 read as Latin-1
    "a\x00b\x01c\x07d\x7f",  # NUL, bell, delete
    "safe\rEVIL",  # overwrites the line
    "a\b\b\bxyz",  # steps back
    "two\nlines",
    "vertical\x0btab\x0cfeed\x85next\u2028line\u2029paragraph",
    "\u202egpj.exe\u202c",  # right to left
    "\u2066\u2067\u2068isolate\u2069\u200f\u061c",
    "zero\u200bwidth\u200d\u2060\ufeffjoined",
    "tags\U000e0041\U000e0042\U000e007f",  # letters that are not seen
    "lone \ud800 surrogate \udfff",
    "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d" * 20,  # marks upon marks
    "\N{SNOWMAN}\ufe0f\N{PILE OF POO}\u0000\ufffe\uffff",  # no characters
)
MARKUP = (
    "<script>window.stolen=1</script>",
    "</script><script>window.stolen=2</script>",
    "<img src=x onerror=window.stolen=3>",
    "<svg/onload=window.stolen=4>",
    "</title></textarea></style><svg onload=window.stolen=5>",
    '" onmouseover="window.stolen=6',
    "' autofocus onfocus='window.stolen=7",
    "javascript:window.stolen=8",
    '<a href="javascript:window.stolen=9">x</a>',
    "<iframe srcdoc='<script>parent.stolen=10</script>'>",
    "<base href=http://192.0.2.1/><link rel=stylesheet href=http://192.0.2.1/x.css>",
    "<meta http-equiv=refresh content='0;url=http://192.0.2.1/'>",
    "<style>*{background:url(http://192.0.2.1/)}</style>",
    "<!--",
    "--><!--><b>",
    "<![CDATA[",
    "]]>",
    "&lt;b&gt; &amp;amp; &#60;script&#62;",
    "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>&e;",
    "{{7*7}} {% raw %} {{''.__class__}} ${7*7} #{7*7} <%= 7*7 %>",
    "a|b|c",
    "[x](javascript:window.stolen=11)",
    "](http://192.0.2.1/)![p](http://192.0.2.1/p.png)",
    "```\n# heading\n```",
    "*bold* _it_ ~~gone~~ `code` # - 1. > @everyone #1 <http://192.0.2.1/>",
    "[/red][bold]rich[/] [link=http://192.0.2.1/]x[/link]",
)
PIPES = (
    "%0A::error file=x::made up",
    "::set-output name=x::y",
    "::stop-commands::token",
    "##[error]made up",
    "file,line=1::x:y,title=z",
    "=cmd|' /C calc'!A0",
    '+1+HYPERLINK("http://192.0.2.1/","x")',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "!!python/object/apply:os.system ['true']",
    "key: value # comment\n- &a [*a, ? {x: y}]",
    "$(touch stolen) `touch stolen` ; touch stolen & ' \" \\",
    "..\\..\\windows %s %n %(x)s {0} {x!r}",
)  # fmt: skip
OVERLONG = "long " * 20_000
STRINGS = (*TERMINAL, *MARKUP, *PIPES, OVERLONG)


def spoiled_run(run: Run, text: str) -> Run:
    """Return a run whose every name, and all that its reader said of it, is `text`."""
    return replace(
        run,
        train=replace(run.train, key=text, rivals=(text,)),
        eval=replace(run.eval, key=text, rivals=(text, text)),
        lr=replace(run.lr, key=text),
        settings=replace(run.settings, lr_scheduler_type=text),
        source=Source(path=text, format=text, run=text, others=(text,)),
        nonfinite={text: 1},
        notes=(text,),
    )


def spoiled(advice: Advice, text: str) -> Advice:
    """Return an advice in which `text` stands wherever a log, a plugin or a caller puts words."""
    run = spoiled_run(advice.run, text)
    return replace(
        advice,
        run=run,
        fit=replace(advice.fit, run=run),
        observed=replace(advice.observed, lr_schedule=text),
        reasons=(text, *advice.reasons[1:-1], text),
        findings=(
            Finding(text, text, text, {text: text}, text),
            Finding("FT900", "error", text, {}, text),
            *advice.findings,
        ),
    )


def spoiled_error(text: str) -> ftadvise.FtadviseError:
    """Return an error whose every word is `text`."""
    return ftadvise.LogError(f"{text}: {text}", hint=text, code="FT404")
