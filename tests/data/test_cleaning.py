"""AG News' repairs: every broken form by hand, and the published file as a whole."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elmo_cli.data.cleaning import clean_ag_news

CASES = [
    ("Eriksson doesn #39;t feel", "Eriksson doesn't feel"),
    ("In  quot;helping themselves, quot; Ricky said", 'In "helping themselves," Ricky said'),
    ("UPDATE 1-J amp;J in talks, AT amp;T too", "UPDATE 1-J&J in talks, AT&T too"),
    ("for the  #36;10 million Ansari X Prize", "for the $10 million Ansari X Prize"),
    ("Netscape  #038; Google", "Netscape & Google"),
    ("A second\\team of\\\\rocketeers", "A second team of rocketeers"),
    (r"Grabs \$1B, A\$378m (\$24bn) over\\$50", "Grabs $1B, A$378m ($24bn) over $50"),
    ("a word with them  #151; online, #146;Tis  #x2014;  hellip;", "a word with them — online,’Tis — …"),
    ("caf #233; for  #163;10", "café for £10"),
    ("Beyonc #195; #169; #146;s  #226; #130; #172;10 &#195;&#169;", "Beyoncé’s €10 é"),
    ("a #233; #233; #195; b", "aééÃ b"),
    ("and #195 ; #169 ; too,  amp;#195; amp;#169;", "and é too, é"),
    ("#240; #159; #152; #128; or #237; #160; #128;", "😀 orí €"),
    ("system is nbsp;exciting", "system is exciting"),
    ("women amp;apos;s triathlon", "women's triathlon"),
    ("India News  gt; Guwahati", "India News > Guwahati"),
    ("An  lt;b&gt;offer lt;/b&gt; today", "An offer today"),
    ('Corp &lt;A HREF="http://q.com/x?ticker=A.N target=/s"&gt;A.N&lt;/A&gt;, which', "Corp A.N, which"),
    ("&lt;p&gt;&lt;/p&gt;&lt;p&gt; By Jude Webber&lt;/p&gt;&lt;p&gt; LIMA", "By Jude Webber LIMA"),
    ('&lt;BR&gt;\\&lt;FONT face="verdana" size="-2"\\ color="#666666"&gt;&lt;B&gt;-AP&lt;/B&gt;&lt;/FONT&gt;', "-AP"),
    ('ends &lt;a href="http://ad.doubleclick.net/clk;117', "ends"),
    ("Apple Computer Inc.&lt;AAPL.O&gt; on  Tuesday", "Apple Computer Inc. <AAPL.O> on Tuesday"),
    ("another quot ; not-in-my-ballpark quot ; rule", 'another " not-in-my-ballpark " rule'),
    ("supply seen ample; a real; 5 < 6 and AT&T; all", "supply seen ample; a real; 5 < 6 and AT&T; all"),
]


@pytest.mark.parametrize(("published", "expected"), CASES)
def test_each_broken_form(published: str, expected: str) -> None:
    assert clean_ag_news(published) == expected


@given(st.text(alphabet=st.characters(exclude_characters="\\;<", codec="utf-8")))
def test_sound_text_changes_only_in_whitespace(text: str) -> None:
    assert clean_ag_news(text) == " ".join(text.split())


def test_published_file(shared: Path) -> None:
    with (shared / "data/ag_news/original_test.csv").open(encoding="utf-8", newline="") as file:
        published = [" ".join(row[1:]) for row in csv.reader(file)]
    cleaned = [clean_ag_news(text) for text in published]
    left_over = re.compile(r"[ &](?:#\d+|amp|quot|lt|gt|nbsp);|\\|</?(?:a|b|p|br|font)\b|  |HREF=", re.IGNORECASE)
    assert len(published) == 7600
    assert sum(bool(left_over.search(text)) for text in published) > 2000
    assert [text for text in cleaned if left_over.search(text)] == []
    assert [clean_ag_news(text) for text in cleaned] == cleaned
    # Words stay: none of the texts shrinks to less than a fifth, the shortest being adverts made of markup.
    assert min(len(after) / len(before) for before, after in zip(published, cleaned, strict=True)) > 0.2
