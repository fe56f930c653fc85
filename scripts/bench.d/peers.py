"""Other ways to run the same handler: a process for each request, and workers that stay."""

import getpass
import shutil

from fnlite import FUNCTIONS, NODE, PHP, Door
from process import ENVIRONMENT, ROOT, Process, free_port, is_listening

HERE = ROOT / "scripts/bench.d"
VENV = ROOT / "target/bench/venv/bin"
NODE_MODULES = ROOT / "target/bench/npm/node_modules"

LIGHTTPD = """
server.document-root = "{folder}"
server.bind = "127.0.0.1"
server.port = {port}
server.modules = ("mod_cgi")
server.errorlog = "{folder}/error.log"
server.breakagelog = "{folder}/printed.log"
server.max-keep-alive-requests = 10000
cgi.assign = (".cgi" => "")
"""


FASTCGI = """
server.modules += ("mod_fastcgi")
fastcgi.server = (".php" => (("socket" => "{folder}/fpm.sock")))
"""

FPM = """
[global]
error_log = {folder}/fpm.log
daemonize = no
[www]
listen = {folder}/fpm.sock
user = {user}
pm = static
pm.max_children = 4
"""


class Missing(Exception):
    """A peer is not installed; the text says which."""


class Lighttpd(Process):
    """lighttpd with mod_cgi: `python3`, `node` or `php` anew for each request. What the handler prints goes to a file."""

    def __init__(self, folder):
        program = shutil.which("lighttpd", path=ENVIRONMENT["PATH"])
        if program is None:
            raise Missing("lighttpd is not installed")
        self.port = free_port()
        folder.mkdir()
        scripts = HERE / "plain.cgi", HERE / "lean.cgi", HERE / "node.cgi", HERE / "php.cgi"
        for script in (*scripts, FUNCTIONS / "hello/index.py", NODE.folder / "hello/index.js", PHP.folder / "hello/index.php"):
            shutil.copy(script, folder)
        (folder / "lighttpd.conf").write_text(LIGHTTPD.format(folder=folder, port=self.port))
        super().__init__([program, "-D", "-f", folder / "lighttpd.conf"], folder / "lighttpd.log")

    def wait_until_ready(self):
        self.wait_for(lambda: is_listening(self.port))

    def door(self, script):
        return Door(f"http://127.0.0.1:{self.port}", f"/{script}.cgi")


class Gunicorn(Process):
    """gunicorn with functions-framework: workers that have loaded the handler and are used again and again."""

    def __init__(self, folder, workers, kind, threads=1):
        if not (VENV / "gunicorn").exists():
            raise Missing("gunicorn and functions-framework are not installed")
        folder.mkdir()
        for script in (HERE / "framework.py", FUNCTIONS / "hello/index.py"):
            shutil.copy(script, folder)
        application = f"functions_framework:create_app('handle', '{folder}/framework.py', 'http')"
        super().__init__([VENV / "gunicorn", "--bind", "127.0.0.1:0", "--no-control-socket", "--chdir", folder, "--workers", workers,
                          "--worker-class", kind, "--threads", threads, application], folder / "gunicorn.log")

    def wait_until_ready(self):
        self.url = self.find_in_log(r"Listening at: (http://[\d.:]+)")

    def door(self):
        return Door(self.url, "/")


class NodeFramework(Process):
    """functions-framework for Node.js: one process that has loaded the handler and is used again and again."""

    def __init__(self, folder):
        script = NODE_MODULES / "@google-cloud/functions-framework/build/src/main.js"
        if not script.exists():
            raise Missing("functions-framework for Node.js is not installed")
        self.port = free_port()
        folder.mkdir()
        for file in (HERE / "framework.js", NODE.folder / "hello/index.js"):
            shutil.copy(file, folder)
        command = ["node", script, f"--source={folder}/framework.js", "--target=handle", f"--port={self.port}"]
        super().__init__(command, folder / "framework.log", {**ENVIRONMENT, "NODE_ENV": "production"})

    def wait_until_ready(self):
        self.wait_for(lambda: is_listening(self.port))

    def door(self):
        return Door(f"http://127.0.0.1:{self.port}", "/")


class PhpFpm(Process):
    """php-fpm with four workers that stay, and compile what they run anew each time, as they do without OPcache; in front of it
    lighttpd."""

    def __init__(self, folder):
        path = ENVIRONMENT["PATH"]
        found = [shutil.which(name, path=path) for name in ("php-fpm8.2", "php-fpm", "lighttpd")]
        fpm, lighttpd = found[0] or found[1], found[2]
        if not fpm or not lighttpd:
            raise Missing("php-fpm and lighttpd are not installed")
        self.port = free_port()
        folder.mkdir()
        for file in (HERE / "fpm.php", PHP.folder / "hello/index.php"):
            shutil.copy(file, folder)
        (folder / "fpm.conf").write_text(FPM.format(folder=folder, user=getpass.getuser()))
        (folder / "lighttpd.conf").write_text((LIGHTTPD + FASTCGI).format(folder=folder, port=self.port))
        # One leaves with the other: they are one server.
        script = f"'{fpm}' --allow-to-run-as-root --nodaemonize --fpm-config '{folder}/fpm.conf' & fpm=$!; " \
                 f"trap 'kill $fpm $web' TERM; '{lighttpd}' -D -f '{folder}/lighttpd.conf' & web=$!; wait $web; wait $fpm"
        super().__init__(["/bin/sh", "-c", script], folder / "fpm-and-lighttpd.log")

    def wait_until_ready(self):
        self.wait_for(lambda: is_listening(self.port))

    def door(self):
        return Door(f"http://127.0.0.1:{self.port}", "/fpm.php")
