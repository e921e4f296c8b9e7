"""Text that tries to break out of a page, a spreadsheet or a terminal, and a run full of it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import report_profiles

from pytest_llmbench.records import Measurement, MonitorSample, Run

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
    # Parsers that disagree with each other (mutation XSS): harmless at first sight, not after a second parse.
    "<svg></p><style><a id='</style><img src=1 onerror=window.pwned=1>'>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=window.pwned=1>",
    "<form><math><mtext></form><form><mglyph><svg><mtext><style><path id='</style><img onerror=window.pwned=1 src>'>",
    "<xmp><p title='</xmp><svg/onload=window.pwned=1>'>",
    "<noembed><p title='</noembed><img src=x onerror=window.pwned=1>'>",
    "<title><p title='</title><img src=x onerror=window.pwned=1>'>",
    "<table><td><svg><desc></td></table><img src=x onerror=window.pwned=1>",
    "<select><style></select><img src=x onerror=window.pwned=1></style>",
    "<svg><foreignObject><math><mi><img src=x onerror=window.pwned=1></mi></math></foreignObject></svg>",
    "<img src='x` `onerror=window.pwned=1'>",
    # Spellings that a filter on words would miss.
    "<ScRiPt>window.pwned=1</sCrIpT>",
    "<script/src=data:,window.pwned=1></script>",
    "<script\n>window.pwned=1</script\n>",
    "<img/src=x/onerror=window.pwned=1>",
    "<img\tsrc=x\tonerror=window.pwned=1>",
    "<img\x0csrc=x\x0conerror=window.pwned=1>",
    "<<script>window.pwned=1//<</script>",
    "<script>window['pw'+'ned']=1</script>",
    "<script>\\u0077indow.pwned=1</script>",
    "<a href='&#106;avascript:window.pwned=1'>click</a>",
    "<a href='java\tscript:window.pwned=1'>click</a>",
    "<a href='\x01javascript:window.pwned=1'>click</a>",
    "<a href='vbscript:window.pwned=1'>click</a>",
    "<a href='blob:https://example.invalid/x'>click</a>",
    "<img src=x onerror=&#119;indow.pwned=1>",
    "＜script＞window.pwned=1＜/script＞",
    "\u00bcscript\u00bewindow.pwned=1\u00bc/script\u00be",
    "<script>window.pwned=1</script\x00>",
    "%3Cscript%3Ewindow.pwned=1%3C/script%3E",
    "\\x3cscript\\x3ewindow.pwned=1\\x3c/script\\x3e",
    "\\u003cscript\\u003ewindow.pwned=1\\u003c/script\\u003e",
    "[click](javascript:window.pwned=1)",
    "![x](https://example.invalid/beacon.png)",
    "<https://example.invalid/>",
    "[x]: javascript:window.pwned=1",
    # Requests that need no script.
    "<img srcset='https://example.invalid/x.png 1x'>",
    "<picture><source srcset=https://example.invalid/x.png><img></picture>",
    "<audio src=https://example.invalid/x.mp3 autoplay>",
    "<video poster=https://example.invalid/x.png>",
    "<body background=https://example.invalid/x.png>",
    "<table background=https://example.invalid/x.png>",
    "<link rel=prefetch href=https://example.invalid/x>",
    "<link rel=dns-prefetch href=//example.invalid>",
    "<link rel=preconnect href=https://example.invalid>",
    "<svg><image href=https://example.invalid/x.png /></svg>",
    "<svg><use href='https://example.invalid/x.svg#a'/></svg>",
    "<div style='background:url(https://example.invalid/x)'>x</div>",
    "<frameset><frame src=https://example.invalid/></frameset>",
    "<applet code=x archive=https://example.invalid/x.jar></applet>",
    "<portal src=https://example.invalid/></portal>",
    "<script type=speculationrules>{'prefetch':[{'urls':['https://example.invalid/']}]}</script>",
    # What a page's own code may take for its own.
    "__proto__",
    "constructor",
    "</script><script type=application/json>{}",
    "<img name=body><img id=location name=documentElement>",
    "<form id=test><input name=attributes></form>",
    "<a id=vega href=x></a><a id=vega name=embed></a>",
    "<p data-chart=ttft data-outcome=right class=filter>",
    "datum['__proto__']['pwned']=1",
    "{signal: 'window.pwned=1'}",
    "parent.postMessage(document.body.innerHTML,'*')",
)

_BREAKOUTS = (
    "",
    '">',
    "'>",
    "</td></tr></table>",
    "</summary></details>",
    "</pre>",
    "</textarea></title></style>",
    "]]>",
)
_VECTORS = (
    "<script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    "<svg/onload=window.pwned=1>",
    "<iframe srcdoc='<img src=x onerror=parent.pwned=1>'>",
    "<details open ontoggle=window.pwned=1>",
    "<body onpageshow=window.pwned=1>",
    "<input onfocus=window.pwned=1 autofocus>",
    "<marquee onstart=window.pwned=1>",
    "<style onload=window.pwned=1></style>",
    "<video src=x onerror=window.pwned=1>",
    "<p style='animation:x' onanimationstart=window.pwned=1><style>@keyframes x{}</style>",
    "<img src=https://example.invalid/beacon.png>",
    "<meta http-equiv=refresh content=0;url=https://example.invalid/>",
)

CORPUS: tuple[str, ...] = (*XSS, *(before + vector for before in _BREAKOUTS for vector in _VECTORS))
"""Two hundred and more: too many for the fields of one page, so several are put into each."""

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
    "\x1b[31mRED\x1b[0m",
    "\x1b[38;2;1;2;3m\x1b[8mhidden",
    "\x1b]8;;https://example.invalid\x1b\\link\x1b]8;;\x1b\\",
    "\x1bP+q544e\x1b\\",
    "\x1b_Ga=T\x1b\\",
    "\x1bc\x1b(0",
    "zero\u200bwidth\ufeff\u2060\u00ad",
    "tags\U000e0049\U000e0047\U000e004e",
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

_KEPT = {"id", "reply_id", "reply_ids", "measurement_ids", "key", "state"}
"""Fields that join records and nobody reads, and those that are one of a few words."""


def hostile_run(texts: Sequence[str] = ALL) -> Run:
    """A run in which every text that a report may show is one of `texts`, in turn."""
    text = itertools.cycle(texts)
    run = report_profiles.profiles_run()
    # The outcomes and verdicts of a real run decide what is shown; hostile ones come beside them.
    strange = dataclasses.replace(run.results[0], outcome=next(text))
    made = poisoned(dataclasses.replace(run, results=(*run.results, strange)), text)
    return dataclasses.replace(
        made,
        id=next(text),
        measurements=tuple(_drawn(measurement, text) for measurement in made.measurements),
        environment={**made.environment, next(text): next(text), "versions": {next(text): next(text)}},
        settings={**made.settings, next(text): [next(text), {next(text): next(text)}]},
    )


def _drawn(measurement: Measurement, text: Iterator[str]) -> Measurement:
    """With charts of columns that are there, whatever they are called, grades that are found, and strange readings."""
    kinds = itertools.cycle(("line", "bars"))
    tables = [
        dataclasses.replace(
            table,
            chart={"kind": next(kinds), "x": table.columns[0], "y": [*table.columns[1:4], next(text)]},
            rows=(*table.rows, tuple(next(text) for _ in table.columns)),
        )
        for table in measurement.tables[:-1]
    ]
    grades = [
        dataclasses.replace(table, name="grades", columns=report_profiles.GRADE_COLUMNS)
        for table in measurement.tables[-1:]
    ]
    strange = MonitorSample(1.0, {next(text): 1.0}) if measurement.samples else None
    return dataclasses.replace(
        measurement,
        tables=(*tables, *grades),
        samples=(*measurement.samples, *([strange] if strange else [])),
        unavailable={next(text): next(text)} if measurement.unavailable else {},
    )


def poisoned(value: Any, text: Iterator[str]) -> Any:
    if isinstance(value, str):
        return next(text)
    if isinstance(value, tuple | list):
        return type(value)(poisoned(item, text) for item in value)
    if isinstance(value, dict):
        return {key: poisoned(item, text) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if field.name not in _KEPT]
        return dataclasses.replace(value, **{name: poisoned(getattr(value, name), text) for name in names})
    return value
