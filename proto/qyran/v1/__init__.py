"""Version 1 of the protocol: `case_pb2`, `violation_service_pb2`, `violation_service_pb2_grpc`."""
