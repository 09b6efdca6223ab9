"""The interactive documentation at /docs: Swagger UI, from files that come with this package."""

from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

PAGE: Final = "/docs"
STATIC: Final = "/docs/static"
FILES: Final = Path(__file__).parent / "static"
#: Swagger UI writes styles into the page; all else comes from this server.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_HTML: Final = f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>checkout-saga: API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{STATIC}/swagger-ui/swagger-ui.css">
</head>
<body>
<main id="swagger-ui"></main>
<script src="{STATIC}/swagger-ui/swagger-ui-bundle.js"></script>
<script src="{STATIC}/start.js"></script>
</body>
</html>
"""


def router() -> APIRouter:
    """The page."""
    routes = APIRouter(include_in_schema=False)

    @routes.get(PAGE)
    async def documentation() -> HTMLResponse:
        return HTMLResponse(_HTML, headers={"Content-Security-Policy": _POLICY})

    return routes


def static_files() -> StaticFiles:
    """Its files."""
    return StaticFiles(directory=FILES)
