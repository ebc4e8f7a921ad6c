import importlib.util
import marshal
import shutil

from skerry.platforms.images.bytecode import compile_folder


def compiled(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.pyc")}


def test_bytecode_is_the_same_in_another_folder_beside_other_files_and_names_the_place_in_the_image(tmp_path):
    first = tmp_path / "one"
    (first / "package").mkdir(parents=True)
    (first / "package" / "a.py").write_text("WORDS = {'x', 'y', 'long-word'}\ndef f(): return 'y', WORDS\n")
    (first / "b.py").write_text("import package.a\nprint('y', 'long-word')\n")
    second = tmp_path / "two"
    shutil.copytree(first, second)
    compile_folder(first, "/app")
    (second / "0.py").write_text("WORDS = 'long-word', 'x', 'y'\n")
    compile_folder(second, "/app")
    ours, theirs = compiled(first), compiled(second)
    assert len(ours) == 2
    assert ours.items() <= theirs.items()
    code = marshal.loads(ours[(first / importlib.util.cache_from_source("package/a.py")).relative_to(first)][16:])
    assert code.co_filename == "/app/package/a.py"


def test_a_source_that_cannot_be_compiled_stops_nothing(tmp_path):
    (tmp_path / "template.py").write_text("{{ name }} =\n")
    (tmp_path / "good.py").write_text("x = 1\n")
    compile_folder(tmp_path, "/app")
    assert [path.name.partition(".")[0] for path in tmp_path.rglob("*.pyc")] == ["good"]
