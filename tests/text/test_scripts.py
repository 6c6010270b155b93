"""Scripts of the world: a table of them, what each token is, and that vocabularies of the first rules keep theirs."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_cli.config import Experiment, TokenizerSettings, VocabularySettings
from elmo_cli.events import Event, Notice
from elmo_cli.text.encoded import encode
from elmo_cli.text.tokenizer import Tokenizer
from elmo_cli.text.vocabulary import Vocabulary
from elmo_cli.training.prepare import build_vocabulary_run

# Script -> its tokens. Where a space stands, it stood in the text; the bars are the cuts beside it.
SCRIPTS = {
    "Latin": "The cat sat|.",
    "Latin of French": "L’école est fermée|.",
    "Greek": "Η γάτα κοιμάται|.",
    "Cyrillic": "Кошка спит дома|.",
    "Georgian": "კატა სახლში სძინავს|.",
    "Armenian": "Կատուն քնում է|։",
    "Hebrew": "הַחתול ישן בבית|.",
    "Arabic": "القِطّةُ نائمة|، يا علي|.",
    "Persian": "می‌خواهم بروم|.",
    "Urdu": "بلی سو رہی ہے|۔",
    "Syriac": "ܩܛܐ ܕܡܟ ܀",
    "Thaana": "ބުޅާ ނިދަނީ|.",
    "NKo": "ߒߞߏ ߞߊ߲߫|.",
    "Amharic": "ድመቷ|፡|ተኝታለች|።",
    "Tifinagh": "ⴰⵎⵓⵛⵛ ⵉⵟⵟⵙ|.",
    "Hindi": "बिल्ली सो रही है|।",
    "Bengali": "বিড়াল ঘুমাচ্ছে|।",
    "Gurmukhi": "ਬਿੱਲੀ ਸੌਂ ਰਹੀ ਹੈ|।",
    "Gujarati": "બિલાડી ઊંઘે છે|.",
    "Odia": "ବିଲେଇ ଶୋଇଛି|।",
    "Tamil": "பூனை தூங்குகிறது|.",
    "Telugu": "పిల్లి నిద్రపోతోంది|.",
    "Kannada": "ಬೆಕ್ಕು ಮಲಗಿದೆ|.",
    "Malayalam": "പൂച്ച ഉറങ്ങുന്നു|.",
    "Sinhala": "පූසා නිදි|.",
    "Thai": "แม|ว|น้ำ|น|อ|น|๒๕",
    "Lao": "ແມ|ວ|ນ|ອ|ນ|ຢູ່|ນ້ຳ",
    "Burmese": "ကြော|င်|အိ|ပ်|ပါ|သ|ည်|။ သ|တ္တ|ဝါ",
    "Khmer": "ឆ្មា|កំ|ពុ|ង|គេ|ង|។",
    "Tibetan": "བྱི|་|ལ|་|ཉལ|་|འདུག",
    "Mongolian": "ᠮᠤᠤᠷ ᠤᠨᠲᠠᠵᠤ|᠃",
    "Chinese": "猫|在|家|里|睡|觉|，|2008|年|。",
    "Japanese": "猫|は|ソファー|で|寝|て|い|ま|す|。|ラーメン",
    "Korean": "고양이가 집에서 잔다|.",
    "Cherokee": "ᏪᏌ ᎦᎵᎭ|.",
    "Adlam": "𞤀𞤣𞤤𞤢𞤥 𞤆𞤵𞤤𞤢𞥄𞤪",
    "Chakma": "𑄌𑄋𑄴𑄟𑄳𑄦",
    "Javanese": "ꦏꦸ|ꦕꦶꦁ|ꦠꦸ|ꦫꦸ",
    "emoji": "I|👍🏽|like|👨‍👩‍👧|🇩🇪|🇫🇷|❤️|1️⃣|!",
    "mixed": "在|U.S.|看|GDP|增|长|8.5|%|的|http://a.com/b|吧",
    "half-width katakana": "ｶﾀｶﾅﾊﾞﾝﾄﾞ ー ら|ー|め|ん が",
    "variants of Han": "葛󠄀|城",
}


@pytest.mark.parametrize("expected", SCRIPTS.values(), ids=SCRIPTS)
def test_tokens_of_scripts(expected: str) -> None:
    text = expected.replace("|", "")
    tokens = Tokenizer(TokenizerSettings())(text)
    assert tokens == unicodedata.normalize("NFC", expected.replace("|", " ")).split()


@pytest.mark.parametrize(
    "name", sorted({*SCRIPTS} & {"Latin", "Greek", "Arabic", "Hindi", "Tamil", "Korean", "Tibetan"})
)
def test_scripts_with_spaces_are_cut_as_before(name: str) -> None:
    text = SCRIPTS[name].replace("|", "")
    assert Tokenizer(TokenizerSettings())(text) == Tokenizer(TokenizerSettings(version=1))(text)


@settings(deadline=None)
@given(
    st.text(
        alphabet="aé\u0301 9.'’-ßж\u05d0\u0e01\u0e33\u0e40\u4e00ーアか\u3099❤\ufe0f\u200d👍🏽🇩🇪\U0001e944\U000e0100"
    )
)
def test_nothing_is_lost_in_any_mixture(text: str) -> None:
    tokens = Tokenizer(TokenizerSettings())(text)
    assert "".join(tokens) == "".join(unicodedata.normalize("NFC", text).split())


@settings(deadline=None)
@given(st.text(alphabet=st.characters(max_codepoint=0xDFF)))
def test_text_below_the_first_such_script_is_cut_as_before(text: str) -> None:
    assert Tokenizer(TokenizerSettings())(text) == Tokenizer(TokenizerSettings(version=1))(text)


def test_a_long_text_without_spaces_takes_linear_time() -> None:
    text = "猫" * 50_000 + "ア" * 50_000 + "เ" * 50_000 + "👍" * 50_000 + "1" * 50_000 + "ーー" * 50_000
    assert "".join(Tokenizer(TokenizerSettings())(text)) == text


def test_vocabularies_keep_the_rules_they_were_counted_with(tmp_path: Path) -> None:
    new = TokenizerSettings()
    Vocabulary.build(encode(["猫在家"], Tokenizer(new)), VocabularySettings(min_count=1), new).save(tmp_path)
    assert Vocabulary.load(tmp_path).tokenizer == new
    file = tmp_path / "vocab.yaml"
    details = yaml.safe_load(file.read_text(encoding="utf-8"))
    del details["tokenizer"]["version"]  # as before there were versions
    file.write_text(yaml.safe_dump(details), encoding="utf-8")
    old = Vocabulary.load(tmp_path).tokenizer
    assert old.version == 1
    assert Tokenizer(old)("猫在家") == ["猫在家"]


@pytest.mark.parametrize(("kind", "said"), [("whitespace", ["--tokenizer words"]), ("words", [])])
def test_tokens_as_long_as_sentences_are_noted(tmp_path: Path, kind: str, said: list[str]) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("猫在家里睡觉，然后去公园散步，晚上回家吃饭。\n" * 3, encoding="utf-8")
    events: list[Event] = []
    experiment = Experiment.model_validate({"output": tmp_path / "runs", "tokenizer": {"kind": kind}})
    build_vocabulary_run(experiment, [corpus], tell=events.append)
    notes = [event.message for event in events if isinstance(event, Notice)]
    assert len(notes) == len(said)
    assert all(part in note for part, note in zip(said, notes, strict=True))
