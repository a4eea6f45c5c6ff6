"""A city to try Qyran on: rendered footage with exact truth, served over real RTSP on loopback."""
