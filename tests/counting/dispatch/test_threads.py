"""Work that a pass gives to other threads, processes and event loops."""

from __future__ import annotations

import _thread
import asyncio
import queue
import threading
import time
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.pool import ThreadPool

import pytest
import torch
from torch import Tensor, nn

from analyzer import count
from analyzer.core.errors import AnalyzerError
from analyzer.counting.dispatch.counter import count_pass
from tests.torch_releases import needs_torch

LINEAR = 2 * 8 * 8  # Two samples.


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)


class InPool(Branches):
    def forward(self, x: Tensor) -> Tensor:
        with ThreadPoolExecutor(2) as pool:
            return sum(pool.map(lambda layer: layer(x), (self.a, self.b)))


class InFutures(Branches):
    """With a torch function in each thread in addition to the module."""

    def forward(self, x: Tensor) -> Tensor:
        with ThreadPoolExecutor(2) as pool:
            futures = [pool.submit(lambda layer: layer(x).relu(), layer) for layer in (self.a, self.b)]
            return futures[0].result() + futures[1].result()


class InThreads(Branches):
    def forward(self, x: Tensor) -> Tensor:
        outputs: dict[str, Tensor] = {}

        def run(name: str) -> None:
            outputs[name] = getattr(self, name)(x)

        threads = [threading.Thread(target=run, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return outputs["a"] + outputs["b"]


class InThreadSubclass(Branches):
    def forward(self, x: Tensor) -> Tensor:
        class Runner(threading.Thread):
            def __init__(self, layer: nn.Module) -> None:
                super().__init__()
                self.layer = layer

            def run(self) -> None:
                self.output = self.layer(x)

        runners = [Runner(self.a), Runner(self.b)]
        for runner in runners:
            runner.start()
        for runner in runners:
            runner.join()
        return runners[0].output + runners[1].output


class InOwnPool(Branches):
    """A pool of the model's, whose threads are older than the pass."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = ThreadPoolExecutor(2)
        list(self.pool.map(abs, range(4)))

    def forward(self, x: Tensor) -> Tensor:
        return sum(self.pool.map(lambda layer: layer(x), (self.a, self.b)))

    def __deepcopy__(self, memo: object) -> InOwnPool:
        raise TypeError


class InMultiprocessingPool(Branches):
    """The thread pool of multiprocessing, by each of its methods."""

    method = "map"

    def forward(self, x: Tensor) -> Tensor:
        layers = (self.a, self.b)
        with ThreadPool(2) as pool:
            match self.method:
                case "starmap":
                    return sum(pool.starmap(lambda layer, value: layer(value), [(layer, x) for layer in layers]))
                case "apply_async":
                    return sum(result.get() for result in [pool.apply_async(layer, (x,)) for layer in layers])
                case method:
                    return sum(getattr(pool, method)(lambda layer: layer(x), layers))


class Nested(Branches):
    """A thread that starts threads."""

    def forward(self, x: Tensor) -> Tensor:
        with ThreadPoolExecutor(1) as outer, ThreadPoolExecutor(1) as inner:

            def first() -> Tensor:
                return inner.submit(self.b, self.a(x)).result()

            return outer.submit(first).result()


class InEventLoop(Branches):
    def forward(self, x: Tensor) -> Tensor:
        async def run() -> list[Tensor]:
            return await asyncio.gather(*(asyncio.to_thread(layer, x) for layer in (self.a, self.b)))

        return sum(asyncio.run(run()))


class InRawThread(Branches):
    """A thread below `threading`, whose end a lock announces."""

    def forward(self, x: Tensor) -> Tensor:
        outputs, ended = [self.a(x)], _thread.allocate_lock()

        def run() -> None:
            outputs.append(self.b(x))
            ended.release()

        ended.acquire()
        _thread.start_new_thread(run, ())
        with ended:
            return sum(outputs)


class InCallback(InOwnPool):
    """Functions that a pool calls when a task has ended."""

    def forward(self, x: Tensor) -> Tensor:
        outputs, called = [], threading.Event()

        def run(future: Future) -> None:
            outputs.extend(layer(x) for layer in (self.a, self.b))
            called.set()

        self.pool.submit(called.wait, 0.01).add_done_callback(run)
        called.wait()
        return sum(outputs)


MODELS = [InPool, InFutures, InThreads, InThreadSubclass, InOwnPool, Nested, InEventLoop, InRawThread, InCallback]


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_branches_in_threads_are_counted(model, device):
    counted = count_pass(model().to(device), [torch.zeros(2, 8, device=device)])
    macs = {row.path: row.macs for row in counted.count.rows if row.macs}
    assert macs == {"a": LINEAR, "b": LINEAR}
    assert counted.count.totals.params == 2 * (8 * 8 + 8)
    assert counted.notes == ()


@pytest.mark.parametrize("method", ["map", "starmap", "imap", "imap_unordered", "apply_async"])
def test_the_thread_pool_of_multiprocessing_is_followed(method):
    model = InMultiprocessingPool()
    model.method = method
    counted = count_pass(model, [torch.zeros(2, 8)])
    assert counted.count.totals.macs == 2 * LINEAR
    assert counted.notes == ()


def test_rows_are_in_the_order_in_which_work_was_given():
    class Shared(Branches):
        """The first task ends last; both run the same layer, whose parameters belong to the first."""

        def forward(self, x: Tensor) -> Tensor:
            second_ran = threading.Event()

            def first() -> Tensor:
                second_ran.wait(10)
                return self.a(x)

            def second() -> Tensor:
                output = self.a(x[:1])
                second_ran.set()
                return output

            with ThreadPoolExecutor(2) as pool:
                futures = [pool.submit(first), pool.submit(second)]
                return futures[0].result() + futures[1].result()

    rows = count_pass(Shared(), [torch.zeros(2, 8)]).count.rows
    assert [(row.path, row.op, row.call, row.macs, row.params) for row in rows] == [
        ("a", "linear", 1, LINEAR, 72),
        ("a", "linear", 2, LINEAR // 2, 0),
        ("", "add", 1, 0, 0),
        ("b", "unused", 1, 0, 72),
    ]


def test_functions_in_a_thread_belong_to_the_module_that_started_it():
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Inner()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x)

    class Inner(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(torch.matmul, x, x.mT).result()

    (row,) = count_pass(Outer(), [torch.zeros(2, 8)]).count.rows
    assert (row.path, row.macs) == ("inner", 2 * 2 * 8)


@pytest.mark.parametrize("model", [InPool, InThreads], ids=lambda model: model.__name__)
def test_the_backward_pass_of_threads_is_counted(model):
    record = count(model(), torch.zeros(2, 8), train=True)
    # No gradient of the input.
    assert (record.totals.macs, record.totals.backward_macs) == (2 * LINEAR, 2 * LINEAR)


def test_memory_of_threads_is_tracked():
    record = count(InThreads(), torch.zeros(2, 8), memory=True)
    assert record.memory.activations == 3 * 2 * 8 * 4  # Two branches and their sum.


def test_an_error_in_a_thread_fails_the_pass():
    class Reads(Branches):
        """Python prints the error of a thread and goes on; on meta the value cannot be read."""

        def forward(self, x: Tensor) -> Tensor:
            outputs = [x]

            def run() -> None:
                outputs.append(self.a(x) if int(x.sum()) == 0 else x)

            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
            return self.b(outputs[-1])

    assert count(Reads(), torch.zeros(2, 8)).totals.macs == 2 * LINEAR


def test_an_error_in_a_thread_is_reported():
    class Fails(Branches):
        def forward(self, x: Tensor) -> Tensor:
            def run() -> None:
                raise ValueError("no such layer")

            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
            return self.a(x)

    with pytest.raises(AnalyzerError, match="no such layer"):
        count(Fails(), torch.zeros(2, 8))


class Worker(nn.Module):
    """A thread of the model's, older than any pass, that takes its work from a queue."""

    def __init__(self, *, module: bool, kind: type = queue.Queue, timeout: float | None = None) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)
        self.module, self.timeout = module, timeout
        self.requests = [kind(), kind()]
        threading.Thread(target=self.work, daemon=True).start()

    @torch.no_grad()
    def work(self) -> None:
        while (x := self.requests[0].get()) is not None:
            self.requests[1].put(self.b(x) if self.module else x @ self.b.weight)

    def forward(self, x: Tensor) -> Tensor:
        self.requests[0].put(self.a(x))
        return self.requests[1].get(timeout=self.timeout)


class PollingWorker(Worker):
    def forward(self, x: Tensor) -> Tensor:
        self.requests[0].put(self.a(x))
        while self.requests[1].empty():
            time.sleep(0.001)
        return self.requests[1].get_nowait()


@pytest.mark.parametrize(("module", "macs"), [(True, 2 * LINEAR), (False, LINEAR)])
def test_a_thread_older_than_the_pass_is_noted(module, macs):
    """Its modules are counted; other operators are not."""
    model = Worker(module=module)
    counted = count_pass(model, [torch.zeros(2, 8)])
    model.requests[0].put(None)
    assert counted.count.totals.macs == macs
    assert any(note.strict and "older than the pass" in note for note in counted.notes)


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: Worker(module=False, timeout=10),
        lambda: Worker(module=False, kind=queue.SimpleQueue),
        lambda: PollingWorker(module=False, kind=queue.SimpleQueue),
    ],
    ids=["timeout", "SimpleQueue", "polling"],
)
def test_results_of_an_older_thread_are_noted_however_the_pass_waits(make, device):
    model = make().to(device)
    # The second pass finds freed storages of the first.
    passes = [count_pass(model, [torch.zeros(2, 8, device=device)]) for _ in range(2)]
    model.requests[0].put(None)
    for counted in passes:
        assert counted.count.totals.macs == LINEAR
        assert [note.strict for note in counted.notes if "older than the pass" in note] == [True]


def test_tensors_older_than_the_pass_are_no_work_of_threads():
    constant = torch.ones(8, 8)

    class Reads(Branches):
        def forward(self, x: Tensor) -> Tensor:
            return self.b(self.a(x) @ constant + torch.tensor([[1.0]]))

    with ThreadPoolExecutor(1) as pool:
        pool.submit(abs, 1).result()  # A thread older than the pass.
        assert count_pass(Reads(), [torch.zeros(2, 8)]).notes == ()


def test_another_model_in_another_thread_is_not_counted():
    other, stop, started = nn.Linear(8, 8), threading.Event(), threading.Event()

    def serve() -> None:
        while not stop.is_set():
            other(torch.zeros(2, 8))
            started.set()

    thread = threading.Thread(target=serve)
    thread.start()
    started.wait(10)
    try:
        counted = count_pass(InPool(), [torch.zeros(2, 8)])
    finally:
        stop.set()
        thread.join()
    assert (counted.count.totals.macs, counted.notes) == (2 * LINEAR, ())


# torch before 2.10, of tensors with weak references that another thread frees.
@pytest.mark.filterwarnings("ignore:Deallocating Tensor that still has live PyObject references")
def test_two_counts_in_two_threads_do_not_disturb_each_other():
    with ThreadPoolExecutor(2) as pool:
        counts = pool.map(lambda size: count_pass(InPool(), [torch.zeros(size, 8)]).count, [2, 4, 6, 8])
    assert [found.totals.macs for found in counts] == [2 * LINEAR, 4 * LINEAR, 6 * LINEAR, 8 * LINEAR]
    assert threading.Thread.start.__module__ == "threading"
    assert ThreadPoolExecutor.submit.__module__ == "concurrent.futures.thread"


def test_functions_of_python_are_restored_after_an_error():
    class Fails(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError

    with suppress(ValueError):
        count_pass(Fails(), [torch.zeros(1)])
    assert threading.Thread.start.__module__ == "threading"
    assert "numpy" not in vars(Tensor)


def test_work_in_another_process_is_noted():
    class InProcess(Branches):
        def forward(self, x: Tensor) -> Tensor:
            with ProcessPoolExecutor(1) as pool:
                pool.submit(abs, 1)
            return self.a(x)

    def refuse(*args: object) -> None:
        """No process starts in this test."""

    model = InProcess()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProcessPoolExecutor, "submit", refuse)
        notes = count_pass(model, [torch.zeros(2, 8)]).notes
    assert [note.strict for note in notes if "process" in note] == [True]


def test_tensors_of_other_code_do_not_matter():
    """With another thread alive every tensor of the process is looked at, also those that allow nothing."""

    class Hostile(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            raise ZeroDivisionError

    kept = [nn.LazyLinear(3), torch.zeros(2).as_subclass(Hostile), torch.zeros(2, 2).to_sparse()]
    with ThreadPoolExecutor(1) as pool:
        pool.submit(abs, 1).result()
        assert count(nn.Linear(4, 2), torch.zeros(1, 4)).totals.macs == 8
    assert len(kept) == 3


def outside_inference_mode(self: nn.Module, x: Tensor) -> Tensor:
    with torch.inference_mode(False):
        return self.layer(x.clone()) * 2


@pytest.mark.parametrize(
    "function",
    [
        lambda self, x: torch.func.grad(lambda value: self.layer(value).sum())(x),
        pytest.param(
            lambda self, x: torch.func.jacrev(self.layer)(x[0]),
            marks=needs_torch(2, 12, "its gradients are zeros in inference mode, where they are refused"),
        ),
        outside_inference_mode,
    ],
)
def test_results_that_are_no_inference_tensors_are_not_taken_for_another_threads(function):
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            return function(self, x)

    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    try:
        assert count_pass(Model(), [torch.zeros(2, 8)]).notes == ()
    finally:
        ended.set()
        thread.join()
