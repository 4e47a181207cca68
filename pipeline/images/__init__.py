"""Image sets, preprocessing, patches and boxes of pixels."""
