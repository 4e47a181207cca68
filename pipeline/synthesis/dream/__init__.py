"""Dreams: the sizes at which images are dreamt, and the motion from one frame to the next."""
