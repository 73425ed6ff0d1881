"""Random regions of linear layers, merged into one weight: what torch computes, and every spike."""

from collections import Counter

import pytest

from tests.passes.test_regions import check_region

REGIONS = 2000

pytestmark = pytest.mark.campaign


def test_every_operation_in_a_hundred_random_regions():
    operations, weights = Counter(), Counter()
    for seed in range(REGIONS):
        used, kinds = check_region(seed // 2, whole=bool(seed % 2))
        operations.update(used)
        weights.update(kinds)
    print(f"\n{REGIONS} regions: half in float64 within 1e-9 of torch, half with whole numbers")
    print("and neurons behind, 0 differing spikes. Merged into", dict(weights))
    for name, count in sorted(operations.items()):
        print(f"{count:6} {name}")
    assert min(operations.values()) >= 100
    assert len(operations) == 25
