"""A city for trying Qyran: rendered footage with exact truth, served over real RTSP on loopback."""
