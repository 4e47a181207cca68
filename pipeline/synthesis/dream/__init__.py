"""Dreams: the sizes at which whole images are dreamt, and what becomes of a frame in the next."""
