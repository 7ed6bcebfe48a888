import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from segpipe.data.preprocessing import Fit, plan
from segpipe.inference.stitch import axis_parts


@settings(max_examples=300, deadline=None)
@given(tile=st.integers(3, 60), length=st.integers(1, 400), share=st.floats(0, 1 / 3))
def test_the_weights_of_each_pixel_add_up_to_one_and_it_is_decided_once(tile, length, share):
    overlap = int(tile * share)
    layout = plan((1, length), Fit("letterbox", (tile, tile), tile, overlap))
    weight, decided = np.zeros(length), np.zeros(length, int)
    for part in axis_parts(layout.columns, layout.overlap):
        assert part.span.start <= part.start < part.stop <= part.span.stop
        assert part.head + part.tail <= part.stop - part.start
        weight[part.start : part.stop] += part.weights
        decided[part.start : part.start + part.decided] += 1
    np.testing.assert_allclose(weight, 1, rtol=1e-6)
    assert (decided == 1).all()


def test_the_seam_is_in_the_middle_of_a_larger_overlap():
    # tiles of 10 on 14 pixels share 4 to 9; of those 2 are blended, 6 and 7
    first, second = axis_parts((slice(0, 10), slice(4, 14)), overlap=2)
    assert (first.start, first.stop, first.decided) == (0, 8, 6)
    assert (second.start, second.stop, second.decided) == (6, 14, 8)
    assert first.weights.tolist() == [1, 1, 1, 1, 1, 1, 0.75, 0.25]
    assert second.weights.tolist() == [0.25, 0.75, 1, 1, 1, 1, 1, 1]
