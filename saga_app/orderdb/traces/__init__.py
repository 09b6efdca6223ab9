"""Traces: each order that has ended, as OpenTelemetry spans."""
