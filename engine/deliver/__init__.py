"""Delivery to registers that want to be called: every case once by id, in order, whatever happens to either side."""

from engine.deliver.channel import Channel, Receipt, Submission
from engine.deliver.channels import open_channel
from engine.deliver.deliverer import Deliverer, open_deliverer
from engine.deliver.worker import DeliveryWorker

__all__ = ["Channel", "Deliverer", "DeliveryWorker", "Receipt", "Submission", "open_channel", "open_deliverer"]
