"""The other system, played: an HTTP server that answers webhooks as told and remembers what it got."""

from retailos.receiver.behaviour import ERROR_BODY, OK_BODY, Behaviour
from retailos.receiver.received import Received, Sighting, sighting_of
from retailos.receiver.receiver import Receiver

__all__ = ("ERROR_BODY", "OK_BODY", "Behaviour", "Received", "Receiver", "Sighting", "sighting_of")
