"""Text that tries to break out of a page, a spreadsheet or a terminal, and a run full of it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import report_runs

from pytest_llmbench.records import Run

XSS: tuple[str, ...] = (
    "<script>window.pwned=1;alert(1)</script>",
    "</script><script>window.pwned=1;alert(1)</script>",
    "</SCRIPT\t><img src=x onerror=window.pwned=1>",
    "<!--<script>window.pwned=1</script>",
    "--><script>window.pwned=1</script>",
    "<![CDATA[<script>window.pwned=1</script>]]>",
    '"><img src=x onerror="window.pwned=1">',
    "'><img src=x onerror='window.pwned=1'>",
    '" onmouseover="window.pwned=1" x="',
    "' autofocus onfocus='window.pwned=1",
    "` onclick=window.pwned=1 `",
    "javascript:window.pwned=1",
    "jAvAsCrIpT&colon;window.pwned=1",
    "data:text/html,<script>window.pwned=1</script>",
    "<svg onload=window.pwned=1>",
    "<svg><animate onbegin=window.pwned=1 attributeName=x dur=1s>",
    "<svg><script>window.pwned=1</script></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=x onerror=window.pwned=1&gt;'>",
    "<noscript><p title='</noscript><img src=x onerror=window.pwned=1>'>",
    "<iframe srcdoc='<script>parent.pwned=1</script>'></iframe>",
    "<iframe src=javascript:parent.pwned=1></iframe>",
    "<object data='data:text/html,<script>window.pwned=1</script>'></object>",
    "<embed src='https://example.invalid/x.swf'>",
    "<link rel=stylesheet href='https://example.invalid/x.css'>",
    "<style>@import 'https://example.invalid/x.css';body{background:url(https://example.invalid/x)}</style>",
    "<img src='https://example.invalid/beacon.png'>",
    "<base href='https://example.invalid/'>",
    "<meta http-equiv=refresh content='0;url=https://example.invalid/'>",
    "<form action='https://example.invalid/'><button autofocus>x</button></form>",
    "<details open ontoggle=window.pwned=1>",
    "<video><source onerror=window.pwned=1></video>",
    "<input autofocus onfocus=window.pwned=1>",
    "<a href=javascript:window.pwned=1>click</a>",
    "</title></style></textarea></xmp></pre><script>window.pwned=1</script>",
    "<template><script>window.pwned=1</script></template>",
    "{{ 7*7 }}{% raw %}{{ ''.__class__ }}",
    "${7*7}#{7*7}<%= 7*7 %>",
    "datum.constructor.constructor('window.pwned=1')()",
    "\u2028window.pwned=1\u2029",
    "+ADw-script+AD4-window.pwned=1+ADw-/script+AD4-",
    "&lt;script&gt;window.pwned=1&lt;/script&gt;",
    "\x00<script>window.pwned=1</script>",
    "<scr\x00ipt>window.pwned=1</scr\x00ipt>",
)

TERMINAL: tuple[str, ...] = (
    "\x1b]0;title\x07",
    "\x1b]52;c;cm0gLXJmIH4=\x07",
    "\x1b[2J\x1b[H",
    "\x9b31m",
    "over\rwritten",
    "\u202edesrever",
    "\u2066isolated\u2069",
    "lone surrogate \ud800",
    "back\x08space\x7f",
    "line\nbreak\x0b\x0c\x85\u2028",
)

OTHER: tuple[str, ...] = (
    "=HYPERLINK('https://example.invalid','x')",
    "@SUM(1)",
    "A" * 3000,
    "漢字" * 60,
    "👩‍👩‍👧‍👦 e\u0301" + "\u0301" * 50,
    "",
    " ",
)

ALL = XSS + TERMINAL + OTHER

_KEPT = {"id", "reply_id", "reply_ids", "measurement_ids", "key"}
"""Fields that join records; nobody reads them."""


def hostile_run(texts: Sequence[str] = ALL) -> Run:
    """A run in which every text that a report may show is one of `texts`, in turn."""
    text = itertools.cycle(texts)
    run = report_runs.mixed_run()
    # The outcomes and verdicts of a real run decide what is shown; hostile ones come beside them.
    strange = dataclasses.replace(run.results[0], outcome=next(text))
    poisoned = _poisoned(dataclasses.replace(run, results=(*run.results, strange)), text)
    return dataclasses.replace(
        poisoned,
        id=next(text),
        environment={**poisoned.environment, next(text): next(text), "versions": {next(text): next(text)}},
        settings={**poisoned.settings, next(text): [next(text), {next(text): next(text)}]},
    )


def _poisoned(value: Any, text: Iterator[str]) -> Any:
    if isinstance(value, str):
        return next(text)
    if isinstance(value, tuple | list):
        return type(value)(_poisoned(item, text) for item in value)
    if isinstance(value, dict):
        return {key: _poisoned(item, text) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if field.name not in _KEPT]
        return dataclasses.replace(value, **{name: _poisoned(getattr(value, name), text) for name in names})
    return value
