import numpy as np
import pytest

from pipeline.figures import scaling


def image(*values: float) -> np.ndarray:
    """One channel, one row."""
    return np.array(values, np.float32).reshape(1, 1, -1)


def test_range_by_hand():
    assert scaling.to_display(image(-1, 0, 3))[..., 0].ravel().tolist() == [0, 0.25, 1]


def test_symmetric_by_hand():
    assert scaling.to_display(image(-1, 0, 4), "symmetric")[..., 0].ravel().tolist() == [
        0.375,
        0.5,
        1,
    ]


def test_range_is_over_all_channels_and_channels_come_last():
    x = np.zeros((3, 2, 4), np.float32)
    x[0] = 10
    x[2, 1, 3] = -10
    shown = scaling.to_display(x)
    assert shown.shape == (2, 4, 3)
    assert shown[0, 0].tolist() == [1, 0.5, 0.5]
    assert shown[1, 3].tolist() == [1, 0.5, 0]


@pytest.mark.parametrize("mode", ["range", "symmetric"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_input_is_unaltered_and_output_shares_no_memory(mode, dtype):
    x = np.random.default_rng(0).normal(size=(3, 5, 6)).astype(dtype)
    x[0, 0, 0] = np.inf
    before = x.copy()
    shown = scaling.to_display(x, mode)
    shown[:] = 7
    np.testing.assert_array_equal(x, before)
    pixels = scaling.to_pixels(x, (0.5,) * 3, (0.2,) * 3)
    pixels[:] = 7
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("value", [0.0, 3.0, -3.0])
def test_constant_images_are_mid_gray(value):
    nearly = image(value, value, value)
    nearly[0, 0, 0] += 4e-6
    assert (scaling.to_display(nearly) == 0.5).all()
    assert (scaling.to_display(image(0, 0), "symmetric") == 0.5).all()


def test_a_range_just_above_the_smallest_is_stretched():
    assert scaling.to_display(image(0, 2e-5))[..., 0].ravel().tolist() == [0, 1]


@pytest.mark.parametrize("mode", ["range", "symmetric"])
def test_values_not_finite_come_out_as_nan_and_do_not_scale(mode):
    shown = scaling.to_display(image(-1, np.inf, np.nan, 1), mode)[..., 0].ravel()
    np.testing.assert_array_equal(shown, [0, np.nan, np.nan, 1])
    assert np.isnan(scaling.to_display(image(np.nan, np.inf), mode)).all()
    np.testing.assert_array_equal(
        scaling.to_display(image(np.nan, 0))[..., 0].ravel(), [np.nan, 0.5]
    )


def test_denormal_and_huge_values_stay_in_range():
    for x in (image(-1e-40, 1e-40), image(-3e38, 3e38)):
        assert scaling.to_display(x, "symmetric")[..., 0].ravel().tolist() == [0, 1]
    assert scaling.to_display(image(-3e38, 3e38))[..., 0].ravel().tolist() == [0, 1]


def test_to_pixels_undoes_normalization_per_channel_and_clips():
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    original = np.random.default_rng(1).random((4, 5, 3)).astype(np.float32)
    normalized = np.moveaxis((original - mean) / std, -1, 0).astype(np.float32)
    np.testing.assert_allclose(scaling.to_pixels(normalized, mean, std), original, atol=1e-6)
    far = np.full((3, 1, 1), 9, np.float32)
    assert scaling.to_pixels(far, mean, std).ravel().tolist() == [1, 1, 1]
    assert scaling.to_pixels(-far, mean, std).ravel().tolist() == [0, 0, 0]


def test_every_mode_is_described():
    for mode in ("range", "symmetric"):
        assert len(scaling.DESCRIPTIONS[mode]) > 20


def test_frames_of_a_video_are_scaled_by_hand():
    frames = np.stack([image(0, 0, 0), image(1, -2, 4), image(1, 0, -2)]).repeat(3, 1)
    by_last = scaling.all_to_display(frames, "last")[..., 0].squeeze(1)
    # Half a magnitude is 2 / 2; what is beyond is cut off.
    assert by_last.tolist() == [[0.5, 0.5, 0.5], [0.75, 0, 1], [0.75, 0.5, 0]]
    by_frame = scaling.all_to_display(frames, "frame")[..., 0].squeeze(1)
    assert by_frame.tolist() == [[0.5, 0.5, 0.5], [0.625, 0.25, 1], [0.75, 0.5, 0]]


def test_a_video_that_ends_where_its_last_frame_is_zero_is_gray():
    assert (scaling.all_to_display(np.zeros((2, 3, 4, 5), np.float32), "last") == 0.5).all()


def test_any_number_of_channels_is_shown_in_color():
    numbers = np.array([[2, 4], [-4, 0], [8, 8], [100, -100]], np.float32)[:, None]
    two, four = numbers[:2], numbers
    assert scaling.to_display(two, "symmetric").tolist() == [[[0.75, 0, 0.5], [1, 0.5, 0.5]]]
    assert scaling.to_display(two).tolist() == [[[0.75, 0, 0], [1, 0.5, 0]]]
    assert scaling.to_display(four).tolist() == scaling.to_display(four[:3]).tolist()
    assert scaling.to_pixels(two, (0.0, 0.5), (0.1, 0.1))[0, 0].tolist() == pytest.approx(
        [0.2, 0.1, 0]
    )
    assert scaling.to_pixels(two[:1], (0.0,), (0.1,))[0, 1].tolist() == pytest.approx([0.4] * 3)
    film = scaling.all_to_display(two[None], "last")
    assert film[0].tolist() == scaling.to_display(two, "symmetric").tolist()


def test_captions_say_which_channels_are_shown():
    assert scaling.noted("Scaled.", 3) == scaling.noted("Scaled.", 1) == "Scaled."
    assert scaling.noted("Scaled.", 2) == "Scaled. Red and green are channels 0 and 1."
    assert scaling.noted("", 6) == "Red, green and blue are channels 0, 1 and 2 of 6."
