"""The imports between packages: packages are named after the stages, and imports have one direction."""

from tests.imports import SOURCE, imported, package_of

# Each package and those that it may import; a package imports none that comes after it.
MAY_IMPORT = {
    "__init__": "",
    "core": "",
    "data": "core",
    "masks": "core data",
    "ledger": "core data",
    "ingest": "core data masks",
    "validate": "core data masks ledger",
    "rasterize": "core data masks ledger",
    "split": "core data ledger",
    "models": "core data",
    "evaluate": "core data",
    "pictures": "core data masks",
    "inference": "core data masks models pictures",
    "report": "core data ledger rasterize split evaluate pictures",
    "tracking": "core models inference",
    "train": "core data models evaluate pictures tracking",
    "convert": "core data masks ledger ingest validate rasterize",
    "explain": "core data masks ledger rasterize pictures",
    "demo": "core masks",
    "params": "core data ledger ingest rasterize split train evaluate report tracking",
    "commands": "core split train ingest convert explain demo params",
    "__main__": "core commands",
}


def test_no_package_imports_one_that_it_may_not():
    for path in (SOURCE / "segpipe").rglob("*.py"):
        package = package_of(path)
        others = {package_of(file) for file in imported(path) if SOURCE in file.parents} - {package, "__init__"}
        assert others <= set(MAY_IMPORT[package].split()), path


def test_imports_run_one_way():
    order = list(MAY_IMPORT)
    for package, allowed in MAY_IMPORT.items():
        assert all(order.index(other) < order.index(package) for other in allowed.split()), package
