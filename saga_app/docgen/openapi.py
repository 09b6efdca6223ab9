"""The reference of the API: its OpenAPI document, as a running process serves it."""

from typing import Final

import yaml

from saga_app.api.app import create_app
from saga_app.api.parts import Parts
from saga_app.settings import Settings

PAGE: Final = "docs/reference/openapi.yaml"


def page() -> str:
    """The document in YAML."""
    document = create_app(Parts.of(Settings())).openapi()
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
