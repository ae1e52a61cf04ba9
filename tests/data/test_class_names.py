"""Names for classes that are called by numbers, from a file."""

import numpy as np
import pytest
from PIL import Image

from sightsmith.core.errors import DataError
from sightsmith.data.source import SourceOptions, open_source


def put(root, *names):
    for place, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((9, 9), 20 * place, np.uint8)).save(root / name)


def listed(tmp_path, text):
    file = tmp_path / "names.txt"
    file.write_text(text, encoding="utf-8-sig")
    return SourceOptions(names=file)


@pytest.mark.parametrize(
    "text",
    [
        "stop\nyield\nno entry, both ways\n",
        "0 stop\n1 yield\n\n2 no entry, both ways\n",
        "2: no entry, both ways\n0: stop\n1: yield\n",
        'ClassId,SignName\r\n1,yield\r\n0,stop\r\n2,"no entry, both ways"\r\n9,unused\r\n',
        "2;no entry, both ways\n1;yield\n0;stop",
        "0\tstop\n1\tyield\n2\tno entry, both ways",
    ],
)
def test_numbered_classes_get_the_names_of_a_list(tmp_path, text):
    put(tmp_path / "signs", "00000/a.png", "1/b.png", "2/c.png")
    source = open_source(tmp_path / "signs", listed(tmp_path, text))
    assert source.names == ("stop", "yield", "no entry, both ways")
    assert [(sample.key, sample.target) for sample in source.samples] == [
        ("00000/a.png", 0),
        ("1/b.png", 1),
        ("2/c.png", 2),
    ]


def test_every_format_is_named_the_same_way(tmp_path):
    options = listed(tmp_path, "10 ten\n2 two\n")
    put(tmp_path, "a.png", "b.png", "flat/x_2.png", "flat/y_10.png")
    (tmp_path / "table.csv").write_text("path,label\na.png,10\nb.png,2\n")
    np.savez(tmp_path / "set.npz", images=np.zeros((2, 9, 9), np.uint8), labels=np.array([10, 2]))
    by_name = SourceOptions(names=options.names, label_by=r"_(\d+)")
    for place, how in (("table.csv", options), ("set.npz", options), ("flat", by_name)):
        assert open_source(tmp_path / place, how).names == ("two", "ten")
    numbers = listed(tmp_path, "\n".join(["zero", "one", *"23456789"]))
    assert open_source("digits", numbers).names[:3] == ("zero", "one", "2")


@pytest.mark.parametrize(
    ("text", "classes", "message"),
    [
        ("stop\nyield\n", "012", r"names.txt: has no name for class 2; it names 0…1\. .*NUMBER NAME"),
        ("1 stop\n2 yield\n", "12345678", r"no name for class 3, 4, 5 and 3 more; it names 1…2"),
        ("cat\ndog\n", ("cat", "1"), r"class 'cat' is not a number.*names"),
        ("0 a\n0 b\n", "01", r"names.txt: names class 0 twice"),
        ("0,a,x\n1,b,y\n", "01", r"names.txt, line 1: 3 cells.*in quotes"),
        ("a\n\nb\n", "01", r"class 1 has no name"),
        ("a\na\n", "01", r"0 and 1 are both called 'a'"),
        ("", "01", r"names.txt: empty"),
    ],
)
def test_a_list_that_does_not_name_every_class_is_refused(tmp_path, text, classes, message):
    put(tmp_path / "signs", *(f"{name}/a.png" for name in classes))
    with pytest.raises(DataError, match=message):
        open_source(tmp_path / "signs", listed(tmp_path, text))


def test_a_list_that_cannot_be_read_is_named(tmp_path):
    put(tmp_path, "0/a.png", "1/b.png")
    with pytest.raises(DataError, match=r"names: .*none.txt cannot be read \(No such file.*one class name a line"):
        open_source(tmp_path, SourceOptions(names=tmp_path / "none.txt"))
