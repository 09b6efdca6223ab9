"""The migrations, in the order of `down_revision`."""
