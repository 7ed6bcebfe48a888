from segpipe.core.files import atomic_write, remove_parts


def test_the_parts_of_an_output_are_removed_and_no_others(tmp_path):
    others = ["checked.json", ".checked.json.0123456789abcdef.part", "checked2/.a.part", ".checked2.part"]
    parts = [".checked.0123456789abcdef.part", "checked/.a.npy.part", "checked/photos/.00000.npy.0123.part"]
    for name in (*others, *parts, "checked/a.part"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    remove_parts(tmp_path / "checked")
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {*others, "checked/a.part"}
    remove_parts(tmp_path / "missing/file")  # nothing to do


def test_the_part_of_a_file_with_any_name_is_found(tmp_path):
    for name in ("a[1]*.png", "x" * 255):
        with atomic_write(tmp_path / name) as part:
            part.touch()
            remove_parts(tmp_path / name)
            assert not part.exists()
            part.touch()
