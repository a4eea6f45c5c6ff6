"""Delivery to recipients, registers that want to be called: every case once by id and in order, whatever fails.

`deliverer` lists the recipient kinds; each kind is one file that implements `channel.Channel`.
"""

from engine.deliver.channel import Channel, Receipt, Submission
from engine.deliver.deliverer import Deliverer, open_channel, open_deliverer
from engine.deliver.worker import DeliveryWorker

__all__ = ["Channel", "Deliverer", "DeliveryWorker", "Receipt", "Submission", "open_channel", "open_deliverer"]
