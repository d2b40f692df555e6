"""Webhooks: what happens on an app, told to its back ends once they can hear it."""
