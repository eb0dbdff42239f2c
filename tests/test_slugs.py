"""Labels in OSC addresses: legal, readable, and each its own."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamtag._slugs import slug, slugs
from streamtag.inference.networks.specs import SPECS

LEGAL = re.compile(r"[!-~]+")
RESERVED = set("#*,/?[]{}")


@pytest.mark.parametrize("model", ["MTT_musicnn", "MSD_musicnn"])
def test_the_models_labels_are_themselves(model: str) -> None:
    made = slugs(SPECS[model].labels)
    assert all(text == label.lower().replace(" ", "_") for label, text in made.items())


@pytest.mark.parametrize(
    ("label", "made"),
    [
        ("Hip-Hop", "hip-hop"),
        ("female vocalists", "female_vocalists"),
        ("a#b*c,d/e?f[g]h{i}j k\tl", "a_b_c_d_e_f_g_h_i_j_k_l"),
        ("Café Señor", "cafe_senor"),
        ("cafe\u0301", "cafe"),
        ("Straße", "strasse"),
        ("рок", "rok"),
        ("Поп", "pop"),
        ("щука", "shchuka"),
        ("ήχος", "ichos"),
        ("ガロ", "garo"),
        ("한국", "hangug"),
        ("摇", "6447"),
        ("🔥", "fire"),
        ("ь", "_"),
    ],
)
def test_other_letters_are_written_in_latin_ones(label: str, made: str) -> None:
    assert slug(label) == made


def test_labels_with_one_address_are_numbered() -> None:
    assert slugs(["Rock", "rock", "rock 2", "рок", "rok"]) == {
        "Rock": "rock",
        "rock": "rock_3",
        "rock 2": "rock_2",
        "рок": "rok",
        "rok": "rok_2",
    }


@given(st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=8))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_whatever_labels_are_called_their_addresses_are_legal_and_distinct(labels: list[str]) -> None:
    made = slugs(labels)
    assert len(set(made.values())) == len(labels)
    for text in made.values():
        assert LEGAL.fullmatch(text)
        assert not RESERVED.intersection(text)
        assert text == text.lower()
