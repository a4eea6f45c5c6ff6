"""The running engine: assembled from a configuration, with its cameras and its housekeeping."""
