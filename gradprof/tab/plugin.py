"""The plugin that TensorBoard loads: the page's files, the routes, and no failure that gets out.

TensorBoard does not start if this module cannot be imported, so it imports nothing that TensorBoard has not
imported itself. What answers is imported with the first request; if even that fails, the tab says so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tensorboard import errors
from tensorboard.plugins import base_plugin
from tensorboard.util import tb_logging
from werkzeug import Request, Response

from .routes import ROUTES

if TYPE_CHECKING:
    from .provider import Store

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]

logger = tb_logging.get_logger()

_STATIC = Path(__file__).parent / "static"
_CONTENT_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
_AT_ONCE = 2
"""Answers worked out at the same time; others wait, so that the bounds on one request bound them all. They
have threads of their own: TensorBoard has one for every request, and each may keep memory that it freed."""


class GradientsPlugin(base_plugin.TBPlugin):  # type: ignore[misc]  # TensorBoard is untyped
    """The Gradients tab.

    No flag is needed: every tag of gradprof's own holds one event, which no reservoir drops.
    """

    plugin_name = "gradprof"

    def __init__(self, context: base_plugin.TBContext) -> None:
        self._provider = context.data_provider
        self._store: Store | None = None
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="gradprof")

    def get_plugin_apps(self) -> dict[str, WsgiApp]:
        """The routes, see `routes`. Files are those that exist now: no path ever comes from a request."""
        files = [path for path in sorted(_STATIC.rglob("*")) if path.suffix in _CONTENT_TYPES]
        return {
            **{f"/{path.relative_to(_STATIC).as_posix()}": self._app(_file_reader(path)) for path in files},
            **{f"/{route}": self._app(self._answerer(route)) for route in ROUTES},
        }

    def is_active(self) -> bool:
        """Whether there is data; TensorBoard asks only where it knows of none."""
        return False

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        """An ES module in a frame of its own."""
        return base_plugin.FrontendMetadata(es_module_path="/index.js", tab_name="Gradients")

    def _app(self, respond: Callable[[Request], Response]) -> WsgiApp:
        def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            request = Request(environ)
            try:
                response = _respond(request, respond)
            except Exception as error:  # whatever it is, it must show in the tab and nowhere else
                logger.exception("gradprof could not answer %s", request.path)
                response = _internal_error(request, error)
            return response(environ, start_response)

        return app

    def _answerer(self, route: str) -> Callable[[Request], Response]:
        def respond(request: Request) -> Response:
            from tensorboard import plugin_util

            from .provider import Asker
            from .query import Query
            from .replies import reply

            answer = import_module(f".routes.{route}", __package__).answer
            asker = Asker(plugin_util.context(request.environ), plugin_util.experiment_id(request.environ))
            working = self._workers.submit(lambda: answer(self._opened_store(), asker, Query(request.args)))
            return reply(request, working.result())

        return respond

    def _opened_store(self) -> Store:
        from .provider import Store

        with self._lock:
            if self._store is None:
                self._store = Store(self._provider)
            return self._store


def _respond(request: Request, respond: Callable[[Request], Response]) -> Response:
    from gradprof.read.source import UnreadableRun

    from .query import BadRequest
    from .replies import error_reply

    if request.method not in ("GET", "HEAD"):
        sentence = f"the method is {request.method}: expected GET, nothing here can be changed"
        return error_reply(request, 405, sentence, Allow="GET, HEAD")
    try:
        return respond(request)
    except BadRequest as error:
        return error_reply(request, 400, str(error))
    except UnreadableRun as error:
        return error_reply(request, 422, str(error))
    except errors.PublicError as error:  # a data provider's: not found, or not allowed
        return error_reply(request, error.http_code, str(error))


def _internal_error(request: Request, error: Exception) -> Response:
    from tensorboard.backend import http_util

    sentence = (
        f"gradprof failed while answering ({type(error).__name__}: {str(error)[:300]}). The traceback is in "
        "TensorBoard's log; the other tabs are not concerned"
    )
    return http_util.Respond(request, {"error": sentence}, "application/json", code=500)


def _file_reader(path: Path) -> Callable[[Request], Response]:
    def respond(request: Request) -> Response:
        from tensorboard.backend import http_util

        return http_util.Respond(request, path.read_bytes(), _CONTENT_TYPES[path.suffix])

    return respond
