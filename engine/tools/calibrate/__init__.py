"""Calibration: from measurements on the road to a homography with a stated uncertainty."""
