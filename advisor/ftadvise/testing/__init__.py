"""Conformance checks for plugin authors.

    from ftadvise.testing import check_family, check_reader

    def test_my_reader_keeps_the_contract():
        check_reader(my_reader, good_paths=["examples/log.tsv"])

    def test_my_family_keeps_the_contract():
        check_family(my_family, AutoTokenizer.from_pretrained("my/model"))

Each check raises `AssertionError` with a message that says which promise is broken and where.
"""

from ftadvise.testing.families import check_family
from ftadvise.testing.readers import check_reader

__all__ = ["check_family", "check_reader"]
