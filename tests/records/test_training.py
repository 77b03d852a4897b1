"""What a training setup refuses."""

from __future__ import annotations

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.records.training import TrainingSetup


@pytest.mark.parametrize(
    ("setup", "message"),
    [
        (TrainingSetup(optimizer="adagrad"), "unknown optimizer 'adagrad'; wanted one of: sgd"),
        (TrainingSetup(precision="int8"), "unknown precision"),
        (TrainingSetup(stage=4), "unknown stage"),
        (TrainingSetup(devices=0), "devices"),
        (TrainingSetup(accumulate=0), "accumulate"),
    ],
)
def test_what_is_unknown_is_refused(setup, message):
    with pytest.raises(AnalyzerError, match=message):
        setup.check()
