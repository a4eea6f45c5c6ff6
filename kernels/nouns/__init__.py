"""What the larger kernels pass about: named groups of arrays, without a twin because they do nothing."""
