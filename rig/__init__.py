"""The test rig: parts of an engine on real files, sockets and databases, for the tests and the benchmarks alike."""
