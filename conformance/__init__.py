"""Receivers that misbehave, and a checker of what a sender of webhooks makes of them, be it ours or another."""
