"""`tests/benchmarks/kernels.py`: shapes, arithmetic, and that a wrong reducer has no speed."""

from __future__ import annotations

import itertools
import json
import math
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from kernel_speed import command, many_tensors, models, sizes
from kernel_speed import plain_torch as plain_module
from kernel_speed.ceiling import gigabytes_per_second, reads_of, with_ceiling
from kernel_speed.command import main
from kernel_speed.contents import CONTENTS, TIMED, filled
from kernel_speed.expected import difference, expected_of, row_by_numpy, row_by_plain_torch
from kernel_speed.idiom import numpy_idiom
from kernel_speed.measure import make_reducer, measure_kernels
from kernel_speed.models import MODELS, load_model, numel_of
from kernel_speed.plain_torch import plain_torch
from kernel_speed.single_tensor import _held
from kernel_speed.sizes import Sizes, binary, grid_within, part_within
from torch import Tensor

import gradprof
from gradprof.bench.results import Bound, Grid, Result
from gradprof.bench.table import new_console, print_result
from gradprof.kernels.row import WORD
from gradprof.record.figures import TensorStats
from gradprof.terminal.bar import Rounds
from runs import python

CPU = torch.device("cpu")
SMALL = Sizes(numel=5000, grid=(1, 1024), max_numel=20_000, models=("resnet50",), seconds_per_sample=0.0)


pytestmark = pytest.mark.usefixtures("one_thread")


# --- shapes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "n_tensors", "numel"),
    [
        ("resnet50", 161, 25_557_032),
        ("GPT-2 medium", 292, 354_823_168),
        ("Llama 3 8B", 291, 8_030_261_248),
    ],
)
def test_totals_are_those_published(name: str, n_tensors: int, numel: int) -> None:
    shapes = load_model(name).shapes
    assert (len(shapes), numel_of(shapes)) == (n_tensors, numel)


def test_layers_are_those_of_the_model() -> None:
    layers = {name: load_model(name).layers for name in MODELS}
    assert {name: (len(found), len(found[0])) for name, found in layers.items()} == {
        "resnet50": (16, 12),
        "GPT-2 medium": (24, 12),
        "Llama 3 8B": (32, 9),
    }


def test_a_model_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> models.Model:
        raise ModuleNotFoundError("no module", name="transformers")

    monkeypatch.setattr(many_tensors, "load_model", load)
    result = measured_with(Recorded())
    assert result.correct, result.checks
    assert "Left out: resnet50, because transformers is not installed." in result.notes


def test_model_is_measured_as_far_as_it_fits() -> None:
    llama = load_model("Llama 3 8B")
    layer = 218_112_000

    def label_within(limit: int) -> tuple[str, int] | None:
        part = llama.part(lambda shapes: numel_of(shapes) <= limit)
        return part and (part.label, part.numel)

    assert label_within(8_030_261_248) == ("Llama 3 8B", 8_030_261_248)
    assert label_within(8_030_261_247) == ("Llama 3 8B, 32 of 32 layers", 32 * layer)
    assert label_within(3 * layer - 1) == ("Llama 3 8B, 2 of 32 layers", 2 * layer)
    assert label_within(layer - 1) == ("Llama 3 8B, 8 of 9 tensors of a layer", layer - 4096)
    assert label_within(4096**2) == ("Llama 3 8B, 1 of 9 tensors of a layer", 4096**2)
    assert label_within(4096**2 - 1) is None


# --- sizes --------------------------------------------------------------------------------------


def test_sizes_on_a_cpu_end_at_16_mi() -> None:
    numels, notes = grid_within(Sizes(), torch.float32, CPU)
    assert [binary(n) for n in numels] == ["1 Ki", "16 Ki", "256 Ki", "4 Mi", "16 Mi"]
    assert notes == ["Left out: 64 Mi, 1 Gi elements, above 16 Mi (the default on a CPU; see --max-numel)."]
    parts = [part_within(Sizes(), model, CPU) for model in map(load_model, MODELS)]
    assert [part and part.label for part in parts] == [
        "resnet50",
        "GPT-2 medium, 2 of 24 layers",
        "Llama 3 8B, 3 of 9 tensors of a layer",
    ]


def test_sizes_end_where_memory_does(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = torch.device("cuda")
    monkeypatch.setattr(sizes, "available_bytes", lambda device: 80 << 30)
    assert grid_within(Sizes(), torch.float32, cuda) == (list(Sizes().grid), [])
    assert part_within(Sizes(), load_model("Llama 3 8B"), cuda).label == "Llama 3 8B"
    monkeypatch.setattr(sizes, "available_bytes", lambda device: 20 << 30)
    numels, notes = grid_within(Sizes(), torch.float32, cuda)
    assert numels[-1] == 64 << 20
    assert notes == ["Left out: 1 Gi elements of float32, which need 22.0 GiB or more; 20.0 GiB are free."]
    assert grid_within(Sizes(), torch.bfloat16, cuda) == (list(Sizes().grid), [])
    assert "of 32 layers" in part_within(Sizes(), load_model("Llama 3 8B"), cuda).label
    monkeypatch.setattr(sizes, "available_bytes", lambda device: 0)
    assert grid_within(Sizes(), torch.float32, cuda)[0] == [1024], "something is measured"
    assert part_within(Sizes(), load_model("resnet50"), cuda) is None


def test_size_below_the_smallest_is_measured() -> None:
    assert grid_within(Sizes(max_numel=100), torch.float32, CPU) == ([100], [])


@pytest.mark.parametrize(
    ("n", "text"), [(1, "1"), (1 << 10, "1 Ki"), (3 << 19, "1536 Ki"), (1 << 30, "1 Gi")]
)
def test_binary_sizes(n: int, text: str) -> None:
    assert binary(n) == text
    assert command._numel(text.replace(" ", "")) == n


# --- contents and what is expected of them ------------------------------------------------------


def test_contents_are_what_they_are_called() -> None:
    stats = {content: expected_of(filled(content, 100_000, torch.float32, CPU)) for content in CONTENTS}
    occupied = {content: np.flatnonzero(found.hist).size for content, found in stats.items()}
    assert occupied["one bin"] == 1
    assert occupied["all bins"] == 128
    assert stats["one bin"].hist.sum() == stats["all bins"].hist.sum() == 100_000
    assert abs(stats["one bin"].mean) < 1e-2 * stats["one bin"].abs_mean, "signs are random"
    assert stats["normal"].rms == pytest.approx(1e-3, rel=0.02)
    assert stats["half zeros"].n_zero == pytest.approx(50_000, rel=0.02)
    assert stats["zeros"].n_zero == 100_000
    assert (stats["NaN and inf"].n_nan, stats["NaN and inf"].n_inf) == (100, 200)
    assert set(CONTENTS) - set(TIMED) == {"NaN and inf"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("content", CONTENTS)
def test_plain_torch_is_the_equivalent(content: str, dtype: torch.dtype) -> None:
    tensor = filled(content, 4097, dtype, CPU)
    by_numpy = TensorStats.from_row(row_by_numpy(tensor))
    assert difference(TensorStats.from_row(row_by_plain_torch(plain_torch(CPU), tensor)), by_numpy) == ""
    assert difference(gradprof.measure(tensor), by_numpy) == ""
    assert by_numpy.numel == by_numpy.hist.sum() + by_numpy.n_zero + by_numpy.n_nan + by_numpy.n_inf


def test_large_tensors_are_expected_slice_by_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = filled("NaN and inf", 10_001, torch.float32, CPU)
    whole = expected_of(tensor)
    monkeypatch.setattr("kernel_speed.expected.MAX_NUMPY", 0)
    monkeypatch.setattr("kernel_speed.expected._SLICE", {"cpu": 1000})
    sliced = expected_of(tensor)
    assert difference(sliced, whole) == ""
    assert sliced.n_above == whole.n_above == 0


@pytest.mark.parametrize("content", CONTENTS)
def test_plain_torch_counts_alike_without_bincount(content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on CUDA, whose histc takes the int32 that a CPU's does not."""
    histc = torch.histc
    monkeypatch.setattr(torch, "histc", lambda x, *args: histc(x.to(torch.float64), *args))
    tensor = filled(content, 4097, torch.float32, CPU)
    by_bincount = plain_torch(CPU)(tensor)["hist"]
    monkeypatch.setattr(plain_module, "_bincount", plain_module._histc)
    assert torch.equal(plain_torch(CPU)(tensor)["hist"], by_bincount)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("numel", lambda v: v + 1),
        ("n_zero", lambda v: v - 1),
        ("n_nan", lambda v: v + 1),
        ("n_inf", lambda v: v + 1),
        ("n_above", lambda v: v + 1),
        ("abs_max", lambda v: v * (1 + 1e-15)),
        ("abs_min", lambda v: v * (1 + 1e-15)),
        ("abs_max", lambda v: math.nan),
        ("l1", lambda v: v * (1 + 2e-6)),
        ("l2", lambda v: v * (1 - 2e-6)),
        ("l2", lambda v: math.nan),
        ("mean", lambda v: v + 1e-8),
        ("hist", lambda v: np.roll(v, 1)),
    ],
)
def test_every_field_is_compared(field: str, wrong: Callable[[object], object]) -> None:
    right = gradprof.measure(filled("NaN and inf", 5000, torch.float32, CPU))
    assert difference(right, right) == ""
    expected = "histogram differs" if field == "hist" else f"{field} is"
    assert expected in difference(replace(right, **{field: wrong(getattr(right, field))}), right)


def test_numpy_idiom_is_the_one_stated() -> None:
    exponents = numpy_idiom(torch.tensor([[0.0, -1e-3], [20.0, 1e-8]]))
    assert exponents.tolist() == [-30, -3, 1, -8] or exponents.tolist() == [-30, -2, 1, -8]


# --- arithmetic ---------------------------------------------------------------------------------


def test_gigabytes_are_of_ten_to_the_ninth_bytes() -> None:
    assert gigabytes_per_second(4 << 30, [1.0, 0.001]) == pytest.approx([4.294967296, 4294.967296])


def test_ceiling_is_the_fastest_read() -> None:
    names = list(reads_of(torch.ones(3)))
    costs = {names[0]: [3.0, 3.0], names[1]: [1.0, 1.5], names[2]: [2.0, 2.0], "ours": [2.0, 3.0]}
    assert with_ceiling(costs) == {"ceiling": [1.0, 1.5], "ours": [2.0, 3.0]}
    assert with_ceiling({name: [] for name in [*names, "ours"]}) == {"ceiling": [], "ours": []}
    assert [float(read()) for read in reads_of(torch.tensor([3.0, 4.0])).values()] == [7.0, 5.0, 4.0]


def test_bounds_are_for_a_gpu() -> None:
    costs = {"ceiling": [1.8, 1.8], "normal": [2.0, 2.4], "one bin": [2.5, 2.5]}
    for device, bounds in (
        ("cuda", [Bound("at least", 0.8), Bound("at least", 0.9)]),
        ("cpu", [None, None]),
    ):
        share, one_bin = _held(costs, 64 << 20, torch.bfloat16, torch.device(device))
        assert share.name == "share, bfloat16, 64 Mi"
        assert share.values == pytest.approx([0.9, 0.75])
        assert one_bin.values == pytest.approx([0.8, 0.96]), "a speed, not a cost"
        assert [share.bound, one_bin.bound] == bounds


def test_bound_for_many_tensors_is_llamas_on_a_gpu() -> None:
    costs = {"ceiling": [1.7], "ours": [2.0]}
    for name, limit, device, bounds in (
        ("Llama 3 8B", 1 << 40, "cuda", [Bound("at least", 0.85)]),
        ("Llama 3 8B", 42 << 20, "cuda", [Bound("at least", 0.85)]),
        ("Llama 3 8B", 32 << 20, "cuda", []),
        ("Llama 3 8B", 1 << 40, "cpu", []),
        ("resnet50", 1 << 40, "cuda", []),
    ):
        part = load_model(name).part(lambda shapes, limit=limit: numel_of(shapes) <= limit)
        assert part is not None
        figures = many_tensors._held(costs, part, torch.device(device))
        assert [figure.bound for figure in figures] == bounds
        assert all(figure.values == [0.85] for figure in figures)


# --- the parts ----------------------------------------------------------------------------------


class Recorded:
    """The reducer of the torch backend, recording its calls, and wrong as asked."""

    def __init__(
        self,
        spoil_one: Callable[[Tensor, Tensor], None] = lambda row, tensor: None,
        spoil_many: Callable[[Tensor, list[Tensor]], None] = lambda rows, tensors: None,
    ) -> None:
        self.prepared: list[torch.dtype] = []
        self.calls = {"reduce_into": 0, "replace_many": 0}
        self._reducer = make_reducer("torch", CPU)
        self._spoil_one, self._spoil_many = spoil_one, spoil_many

    def prepare(self, dtypes: Collection[torch.dtype], scaled: bool) -> None:
        assert not scaled
        self.prepared += dtypes

    def reduce_into(self, rows: Tensor, index: int, tensor: Tensor, inv_scale: Tensor | None = None) -> None:
        assert tensor.dtype in self.prepared
        self.calls["reduce_into"] += 1
        self._reducer.reduce_into(rows, index, tensor)
        self._spoil_one(rows[index], tensor)

    def replace_many(
        self, rows: Tensor, indices: list[int], tensors: list[Tensor], inv_scale: Tensor | None = None
    ) -> None:
        self.calls["replace_many"] += 1
        self._reducer.replace_many(rows, indices, tensors)
        self._spoil_many(rows, tensors)


def measured_with(reducer: Recorded, pairs: int = 2) -> Result:
    return measure_kernels(Rounds(), CPU, pairs, SMALL, make_reducer=lambda *_: reducer)


def test_all_parts() -> None:
    reducer = Recorded()
    result = measured_with(reducer, pairs=3)
    assert result.correct, result.checks
    assert len(result.checks) == 1 + 2 * len(CONTENTS) + 1 + 1
    assert [figure.name.strip() for figure in result.figures] == [
        "times as fast as numpy",
        "gradprof.measure",
        "numpy",
        "call, reduce_into",
        "vector_norm",
        "call, replace_many",
        "of moved tensors",
        "_foreach_norm",
    ]
    assert all(len(figure.values) == 3 for figure in result.figures)
    speed_up, ours, peer = result.figures[:3]
    assert speed_up.values == pytest.approx(np.divide(peer.values, ours.values))
    assert [figure.bound for figure in result.figures] == [Bound("at least", 5), *[None] * 7]
    *single, many = result.grids
    for grid in single:
        assert list(grid.rows) == ["1", "1 Ki"]
        _check_shares(grid, "normal")
        assert {cell.unit for cells in grid.rows.values() for cell in cells if cell} == {"GB/s", "ratio"}
    (label,) = many.rows
    assert label == "resnet50, 3 of 12 tensors of a layer, float32"
    _check_shares(many, "GB/s")
    assert reducer.prepared == [torch.float32, torch.bfloat16]


def _check_shares(grid: Grid, ours: str) -> None:
    for cells in grid.rows.values():
        by_column = dict(zip(grid.columns, cells, strict=True))
        ceiling, speed, share = (by_column[name] for name in ("ceiling", ours, "share"))
        assert ceiling is not None
        assert speed is not None
        assert share is not None
        assert share.values == pytest.approx(np.divide(speed.values, ceiling.values))


def test_one_dtype_alone() -> None:
    result = measure_kernels(Rounds(), CPU, 2, replace(SMALL, dtypes=("bfloat16",)))
    assert result.correct
    assert [grid.title.split(":")[0] for grid in result.grids] == ["one tensor of bfloat16"]
    assert all("numpy" not in figure.name for figure in result.figures)


def spoil_sq(row: Tensor, _tensor: Tensor) -> None:
    row.view(torch.float64)[WORD["sq"]] *= 1 + 1e-5


def spoil_bfloat16(row: Tensor, tensor: Tensor) -> None:
    if tensor.dtype == torch.bfloat16:
        row[WORD["hist"] + 3] += 1


def spoil_a_later_row(rows: Tensor, tensors: list[Tensor]) -> None:
    rows[-1, WORD["hist"] : WORD["hist"] + 2] += torch.tensor([1, -1])


class Merging(Recorded):
    """Its `replace_many` merges into what the rows held before."""

    def replace_many(
        self, rows: Tensor, indices: list[int], tensors: list[Tensor], inv_scale: Tensor | None = None
    ) -> None:
        for index, tensor in zip(indices, tensors, strict=True):
            self._reducer.reduce_into(rows, index, tensor)


@pytest.mark.parametrize(
    ("reducer", "where", "what"),
    [
        (Recorded(spoil_one=spoil_sq), "float32, normal", "l2 is"),
        (Recorded(spoil_one=spoil_bfloat16), "bfloat16, zeros", "bin 3 of the histogram differs"),
        (
            Recorded(spoil_many=spoil_a_later_row),
            "resnet50, 3 of 12 tensors",
            "bin 0 of the histogram differs",
        ),
        (Merging(), "resnet50, 3 of 12 tensors", "numel is 8192, expected 4096"),
    ],
)
def test_wrong_reducer_has_no_speed(reducer: Recorded, where: str, what: str) -> None:
    result = measured_with(reducer)
    assert not result.correct
    failures = {check.what: check.failure for check in result.checks if not check.passed}
    assert any(name.startswith(where) and what in failure for name, failure in failures.items()), failures
    assert result.figures == result.grids == []
    assert max(reducer.calls.values()) < 1000, "nothing is timed after a failed check"


def test_wrong_plain_torch_has_no_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(device: torch.device) -> Callable[[Tensor], dict[str, Tensor]]:
        fields = plain_torch(device)
        return lambda tensor: {**fields(tensor), "n_inf": torch.tensor(7)}

    monkeypatch.setattr("kernel_speed.single_tensor.plain_torch", wrong)
    result = measured_with(Recorded())
    assert not result.correct
    assert any("n_inf is 7, expected 0" in check.failure for check in result.checks)


def test_wrong_measure_has_no_speed() -> None:
    calls = []

    def broken(tensor: Tensor, backend: str) -> gradprof.TensorStats:
        calls.append(backend)
        return replace(gradprof.measure(tensor, backend=backend), l2=1.0)

    result = measure_kernels(Rounds(), CPU, 2, SMALL, "torch", measure=broken)
    assert [check.failure[:5] for check in result.checks] == ["l2 is"]
    assert result.figures == result.grids == []
    assert calls == ["torch"], "nothing is timed after a failed check"


# --- the command --------------------------------------------------------------------------------


def test_quick_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--quick", "--json", "--device", "cpu", "--backend", "torch", "--max-numel", "16Ki"]
    assert main(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert all(check["passed"] for check in document["checks"])
    assert document["options"]["backend"] == document["options"]["chosen"] == "torch"
    assert document["options"]["max_numel"] == 16 << 10
    assert [grid["title"].split(":")[0] for grid in document["grids"]] == [
        "one tensor of float32",
        "one tensor of bfloat16",
        "all parameters of a model",
    ]
    for grid in document["grids"]:
        for cells in grid["rows"].values():
            assert len(cells) == len(grid["columns"])
            assert all(cell["median"] > 0 and cell["n"] in (1, 2) for cell in cells)
    assert {cell["unit"] for cell in document["grids"][0]["rows"]["16 Ki"]} == {"GB/s", "ratio"}


def test_quick_table_fits(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--device", "cpu", "--max-numel", "9Ki"]) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert printed.isascii()
    assert "elements  ceiling  normal  share  one bin  all bins  half zeros  zeros" in printed
    assert "Left out: 16 Ki elements, above 9 Ki (--max-numel)." in printed
    assert re.search("M values +ceiling +GB/s +share +ms +foreach +plain", printed)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], Sizes()),
        (["--pairs", "7"], Sizes(seconds_per_comparison=None)),
        (["--dtype", "bfloat16", "--max-numel", "64Mi"], Sizes(dtypes=("bfloat16",), max_numel=64 << 20)),
        (["--quick", "--max-numel", "9"], replace(sizes.QUICK, max_numel=9)),
    ],
)
def test_options_say_how_much(arguments: list[str], expected: Sizes, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def recorded(rounds: Rounds, device: torch.device, pairs: int, sizes: Sizes, backend: str) -> Result:
        seen.append((sizes, backend))
        return Result("kernels", "", "", {}, [])

    monkeypatch.setattr(command, "measure_kernels", recorded)
    assert main(["--device", "cpu", "--backend", "torch", *arguments]) == 0
    assert seen == [(expected, "torch")]


@pytest.mark.parametrize("text", ["0", "-1Mi", "Mi", "12Qi", "1.5Ki"])
def test_max_numel_is_a_number(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([f"--max-numel={text}"])
    assert "--max-numel" in capsys.readouterr().err


@pytest.mark.parametrize(("device", "said"), [("tpu", "--device 'tpu' cannot be used"), ("cpu", "triton")])
def test_what_does_not_run_here(
    device: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(backend: str, *_: object, **__: object) -> None:
        raise ValueError(f"{backend} does not run here: use torch")

    monkeypatch.setattr("gradprof.kernels.reducer.make_reducer", refuse)
    with pytest.raises(SystemExit) as stopped:
        main(["--device", device, "--backend", "triton"])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_as_a_script() -> None:
    script = Path(__file__).with_name("kernels.py")
    quick = ["--quick", "--pairs", "1", "--device", "cpu", "--max-numel", "1Ki", "--dtype", "bfloat16"]
    done = subprocess.run([sys.executable, str(script), *quick], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "one tensor of bfloat16" in done.stdout


def test_transformers_may_take_the_script_for_a_package_it_knows() -> None:
    """It imports whatever is called kernels, to see its version."""
    pytest.importorskip("transformers")
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from kernel_speed.models import load_model
assert len(load_model("Llama 3 8B").shapes) == 291
print(sys.modules["kernels"].__file__)
"""
    done = python(code, str(Path(__file__).parent))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(Path(__file__).with_name("kernels.py"))


# --- Ctrl-C -------------------------------------------------------------------------------------


def test_ctrl_c_keeps_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = itertools.count(1)

    def interrupted(tensor: Tensor, backend: str) -> gradprof.TensorStats:
        if next(calls) == 4:  # a check and a warm-up come first
            signal.raise_signal(signal.SIGINT)
        return gradprof.measure(tensor, backend=backend)

    monkeypatch.setattr(command, "QUICK", SMALL)
    monkeypatch.setattr(command, "measure_kernels", partial(measure_kernels, measure=interrupted))
    arguments = ["--device", "cpu", "--quick", "--pairs", "1000"]
    assert main([*arguments, "--json"]) == 130
    document = json.loads(capsys.readouterr().out)
    assert document["interrupted"]
    assert [figure["n"] for figure in document["figures"]] == [2, 2, 2]
    assert document["grids"] == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    calls = itertools.count(1)
    assert main(arguments) == 130
    assert "Interrupted" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("call", "at", "parts"),
    [
        ("reduce_into", 1, []),
        ("reduce_into", 20, []),
        ("reduce_into", 30, ["float32"]),
        ("replace_many", 2, ["float32", "bfloat16"]),
        ("replace_many", 4, ["float32", "bfloat16"]),
        ("replace_many", 5, ["float32", "bfloat16", "all parameters"]),
        ("replace_many", 8, ["float32", "bfloat16", "all parameters"]),
        ("replace_many", 11, ["float32", "bfloat16", "all parameters"]),
    ],
)
def test_ctrl_c_anywhere(call: str, at: int, parts: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: object) -> None:
        if reducer.calls[call] == at:
            signal.raise_signal(signal.SIGINT)

    reducer = Recorded(**{"spoil_one" if call == "reduce_into" else "spoil_many": interrupt})
    with Rounds() as rounds:
        result = measure_kernels(rounds, CPU, 3, SMALL, make_reducer=lambda *_: reducer)
    assert rounds.requested
    assert result.correct, result.checks
    assert len(result.grids) == len(parts)
    assert all(part in grid.title for part, grid in zip(parts, result.grids, strict=True))
    print_result(result, new_console())
    assert "median" in capsys.readouterr().out
