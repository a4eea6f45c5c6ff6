"""The configuration: `file` reads the whole file, `stages` and `service` define its tables."""

from engine.config.file import EngineConfig, load_config, secrets
from engine.config.service import (
    KeepRule,
    LedgerConfig,
    LimitsConfig,
    MetricsConfig,
    RecipientConfig,
    RetentionConfig,
    ServiceConfig,
    TlsConfig,
)
from engine.config.stages import (
    CameraConfig,
    ClassifierConfig,
    DecoderConfig,
    DetectorConfig,
    EvidenceConfig,
    PipelineConfig,
    PlatesConfig,
    RegistryConfig,
)
from engine.config.values import (
    WHOLE_PICTURE,
    Count,
    Fraction01,
    Name,
    Positive,
    Region,
    Review,
    Strict,
    is_loopback,
    redact,
    split_address,
)

__all__ = [
    "WHOLE_PICTURE", "CameraConfig", "ClassifierConfig", "Count", "DecoderConfig", "DetectorConfig",
    "EngineConfig", "EvidenceConfig", "Fraction01", "KeepRule", "LedgerConfig", "LimitsConfig", "MetricsConfig",
    "Name", "PipelineConfig", "PlatesConfig", "Positive", "RecipientConfig", "Region", "RegistryConfig",
    "RetentionConfig", "Review", "ServiceConfig", "Strict", "TlsConfig", "is_loopback", "load_config", "redact",
    "secrets", "split_address",
]  # fmt: skip
