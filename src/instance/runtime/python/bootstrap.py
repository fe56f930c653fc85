"""The platform's side of a Python function, for CPython 3.6 and newer.

Started by the launcher as `python -I -S -B bootstrap.py CONFIG`, where CONFIG is JSON (see instance/launch.rs). It loads
the user's module once. As a *zygote* it then forks an Instance for every order on its control socket; as a *single* it is
the one Instance itself. An Instance walls itself in through the shim, warms up, takes one event, answers, and is killed.

What must stay true: nothing of ours is importable by user code; the user's code sees the contract's environment, context
and streams; the parent never runs user code after loading; no module is imported here that a hello-world does not need,
since every page touched here is a page copied for each Instance.
"""
import ctypes
import gc
import io
import json
import os
import socket
import struct
import sys
import time

EVENT_FD = 3
DUMMY_EVENT = b'{"key1":"test value 1","key2":[1,2.5,null,true,{"a":"\xc3\xa9"}]}'
TRACE_CHARS_MAX = 16000  # a report from the zygote must fit one datagram, escapes included
HERE = __file__


class Isolation(ctypes.Structure):
    """`struct isolation` of shim.c."""

    _fields_ = [(name, ctypes.c_int) for name in
                ("fresh_mounts", "fresh_proc", "landlock_abi", "event", "out", "err", "event_as", "top_pid")] + [
        ("tmp_options", ctypes.c_char_p), ("landlock_rules", ctypes.c_char_p)]


class Failure(Exception):
    """The function cannot run: a frame's kind and its text."""

    def __init__(self, kind, text):
        super().__init__(text)
        self.kind, self.text = kind, text


# ---------------------------------------------------------------------------------------------- loading the user's code

class LoggingSetUp:
    """Gives the root logger the platform's handler the moment `logging` is first imported, so that a hello-world that
    never logs does not pay for it and `logging.info` without set-up still reaches the log (contract 5.1)."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name != "logging":
            return None
        sys.meta_path.remove(cls)
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in sys.meta_path)))
        load = spec.loader.exec_module

        def load_and_set_up(module):
            load(module)
            module.root.addHandler(module.StreamHandler(sys.stdout))
            module.root.setLevel(module.DEBUG)

        spec.loader.exec_module = load_and_set_up
        return spec


def open_streams():
    """Line-buffered UTF-8 streams that never raise over a character: a line is in the pipe once it is complete, so it is
    kept even when the process is killed."""
    for name in ("stdout", "stderr"):
        raw = getattr(sys, name).detach()
        stream = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)
        setattr(sys, name, stream)
        setattr(sys, "__%s__" % name, stream)


def load_handler(config):
    file, function = config["handler_file"], config["handler_function"]
    try:
        module = load_module(config["code"], file)
    except SystemExit as error:
        raise Failure("X", str(exit_code(error)))
    except MemoryError as error:
        raise Failure("M", trace(error))
    except BaseException as error:
        if isinstance(error, ImportError) and error.name == file and not own_frames(error.__traceback__):
            raise Failure("H", str(error))
        raise Failure("E", trace(error))
    try:
        return getattr(module, function)
    except AttributeError as error:
        raise Failure("H", str(error))


def load_module(code, file):
    """The user's module; a name that one of our own imports already took is loaded from the user's file all the same."""
    if file not in sys.modules:
        return __import__(file)
    import importlib.util
    path = os.path.join(code, file + ".py")
    spec = importlib.util.spec_from_file_location(file, path)
    if not os.path.exists(path):
        raise ModuleNotFoundError("No module named %r" % file, name=file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def own_frames(tb):
    """Whether any frame is neither ours nor the import machinery's."""
    while tb is not None:
        name = tb.tb_frame.f_code.co_filename
        if name != HERE and not name.startswith("<frozen importlib"):
            return True
        tb = tb.tb_next
    return False


def trace(error):
    """The traceback as the language prints it, without our frames, paths as the platform shows them."""
    import traceback
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename == HERE:
        tb = tb.tb_next
    lines = traceback.format_exception(type(error), error, tb)
    text = "".join(lines).rstrip("\n").replace(CODE + "/", "/var/user/")
    return text if len(text) <= TRACE_CHARS_MAX else text[:TRACE_CHARS_MAX // 2] + "\n...\n" + text[-TRACE_CHARS_MAX // 2:]


def exit_code(error):
    """What the interpreter would exit with, printing what it would print."""
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    print(error.code, file=sys.stderr)
    return 1


def parameter_count(handler):
    """How many of (event, context) the handler takes; both unless its signature says otherwise."""
    function = getattr(handler, "__func__", handler)
    code = getattr(function, "__code__", None)
    if code is None or code.co_flags & 0x04:
        return 2
    bound = 1 if function is not handler else 0
    return max(0, min(2, code.co_argcount - bound))


# ------------------------------------------------------------------------------------------------------ is it safe to fork

def open_kinds():
    """Open descriptors that a fork would share in a harmful way, by number."""
    kinds = {}
    for number in os.listdir("/proc/self/fd"):
        try:
            link = os.readlink("/proc/self/fd/" + number)
        except OSError:
            continue
        if link.startswith(("socket:", "anon_inode:")):
            kinds[number] = link
    return kinds


def unsafe_to_fork(before, private_tmp):
    """Why forking this process would not give a faithful copy; empty when it would."""
    if private_tmp and (os.listdir("/tmp") or os.listdir("/dev/shm")):
        return "a file was written to /tmp at import"
    try:
        if len(os.listdir("/proc/self/task")) > 1:
            return "a thread was started at import"
        with open("/proc/thread-self/children") as children:
            if children.read().strip():
                return "a child process was started at import"
        opened = [kind for number, kind in open_kinds().items() if before.get(number) != kind]
    except OSError:  # no /proc here: threads are what we can still see
        threading = sys.modules.get("threading")
        return "a thread was started at import" if threading and threading.active_count() > 1 else ""
    if any(kind.startswith("socket:") for kind in opened):
        return "a socket was opened at import"
    return "an event descriptor was opened at import" if opened else ""


# ----------------------------------------------------------------------------------------------------------- one Instance

class Instance:
    """A process that has the code loaded and runs exactly one event."""

    def __init__(self, config, handler, failure):
        self.handler, self.failure = handler, failure
        self.count = parameter_count(handler) if handler else 2
        self.context = config["context"]

    def run(self, sock):
        self.answer(DUMMY_EVENT, "0" * 36, lambda event, context: event)
        header, event = receive(sock)
        if self.failure:
            kind, payload = self.failure.kind, self.failure.text
        else:
            kind, payload = self.answer(event, header.decode(), self.call)
        flush()
        if not isinstance(payload, bytes):
            payload = payload.encode("utf-8", "replace")
        sock.sendall(struct.pack("<cI", kind.encode(), len(payload)) + payload)
        sock.recv(1)  # the server ends us once it has what it needs; leaving by ourselves would slow its reader down
        os._exit(0)

    def call(self, event, context):
        return self.handler(*(event, context)[:self.count])

    def answer(self, event, request_id, call):
        try:
            context = dict(self.context, request_id=request_id)
            value = call(json.loads(event.decode()), context)
        except SystemExit as error:
            return "X", str(exit_code(error))
        except MemoryError as error:
            return "M", trace(error)
        except BaseException as error:
            return "E", trace(error)
        return encode(value)


def encode(value):
    """The contract's JSON (3.1): non-ASCII kept, no NaN; a value that is none is the user's error."""
    try:
        decimal = sys.modules.get("decimal")
        if decimal and isinstance(value, decimal.Decimal):
            value = str(value)
        return "R", json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except MemoryError:
        return "M", "MemoryError"
    except BaseException as error:
        error.__traceback__ = error.__context__ = error.__cause__ = None
        return "E", trace(error)


def receive(sock):
    """One frame: two lengths, request id, event."""
    data = sock.recv(65536)
    while len(data) < 8:
        more = sock.recv(65536)
        if not more:
            os._exit(0)
        data += more
    first, second = struct.unpack_from("<II", data)
    total = 8 + first + second
    if len(data) < total:
        parts, size = [data], len(data)
        while size < total:
            parts.append(sock.recv(min(1 << 20, total - size)))
            if not parts[-1]:
                os._exit(0)
            size += len(parts[-1])
        data = b"".join(parts)
    return data[8:8 + first], data[8 + first:total]


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # the user may have closed or replaced it
            pass


def reseed():
    """Random state that would be the same in every Instance. `random` and OpenSSL reseed by themselves after a fork."""
    if sys.version_info < (3, 7) and "random" in sys.modules:
        sys.modules["random"].seed()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random:
        numpy_random.seed()


# ------------------------------------------------------------------------------------------------------------- the zygote

class Zygote:
    """Forks Instances on order. Orders are one byte and a number: N (new, with descriptors), W (wait for that one and tell
    how it ended), R (reap what has died)."""

    def __init__(self, config, shim, control, instance):
        self.shim, self.control, self.instance = shim, control, instance
        self.config, self.init = config["isolation"], config["init_fd"]
        self.namespaces = self.config["pid_namespace"]
        self.own = shim.fnlite_pidfd(os.getpid())
        self.pids, self.ended = {}, {}

    def serve(self):
        room = socket.CMSG_SPACE(4 * 4)
        while True:
            order, ancillary, _, _ = self.control.recvmsg(16, room)
            if not order:
                os._exit(0)
            kind, number = struct.unpack("<cQ", order)
            if kind == b"N":
                fds = struct.unpack("<%di" % (len(ancillary[0][2]) // 4), ancillary[0][2])
                self.fork(number, fds)
                for fd in fds:
                    os.close(fd)
            elif kind == b"W":
                self.control.send(struct.pack("<cQi", b"W", number, self.wait(number)))
            while self.reap() and kind == b"R":
                time.sleep(0.002)  # what was just reaped lets an init die

    def fork(self, number, fds):
        if self.namespaces:
            top = self.shim.fnlite_before_fork(self.init)
            if top < 0:
                return refuse(fds[0], "pid namespace", -top)
            try:
                pid = os.fork()
            except OSError as error:
                self.shim.fnlite_after_fork(self.own)
                self.pids[top] = None
                return refuse(fds[0], "fork", error.errno)
            if pid:
                self.shim.fnlite_after_fork(self.own)
                self.pids[pid], self.pids[top] = number, None
                return None
        else:
            pid = os.fork()
            if pid:
                self.pids[pid] = number
                return None
            self.supervise(fds)
        self.child(fds, 1 if self.namespaces else os.getppid())

    def supervise(self, fds):
        """Without namespaces: this fork becomes the reaper of its child's tree; the child returns and is the Instance."""
        self.shim.fnlite_be_subreaper()
        pid = os.fork()
        if pid == 0:
            os.close(fds[3])
            return
        self.shim.fnlite_become_supervisor(self.init, str(fds[3]).encode(), str(pid).encode())
        os._exit(127)

    def child(self, fds, top):
        try:
            self.control.close()
            os.close(self.own)
            os.close(self.init)
            isolate(self.shim, self.config, fds, top)
            for fd in fds[:3]:
                if fd != EVENT_FD:
                    os.close(fd)
            reseed()
            self.instance.run(socket.socket(fileno=EVENT_FD))
        except BaseException as error:  # ours, not the user's: the server sees an Instance that ended before its event
            os.write(2, ("the platform could not start an Instance: %s\n" % error).encode())
        finally:
            os._exit(70)


    def reap(self):
        """Whoever has died. An Instance goes first: its namespace's init is dead only when nobody is left in it."""
        reaped = 0
        while self.pids:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            self.note(pid, status)
            reaped += 1
        return reaped

    def note(self, pid, status):
        number = self.pids.pop(pid, None)
        if number is not None and status != 9:
            if len(self.ended) > 1000:
                self.ended.clear()
            self.ended[number] = status

    def wait(self, number):
        """The wait status of that Instance's process, which has ended; 9 (killed) once nobody remembers it."""
        for pid, owner in list(self.pids.items()):
            if owner == number:
                self.note(pid, os.waitpid(pid, 0)[1])
                break
        return self.ended.pop(number, 9)


def refuse(event, step, errno):
    """Tells the server on the Instance's own socket that there will be none."""
    os.write(event, ("!%s: %s" % (step, os.strerror(errno))).encode())


def isolate(shim, config, fds, top):
    how = Isolation(
        fresh_mounts=config["fresh_mounts"], fresh_proc=config["fresh_proc"], landlock_abi=config["landlock_abi"],
        event=fds[0], out=fds[1], err=fds[2], event_as=EVENT_FD, top_pid=top,
        tmp_options=config["tmp_options"].encode(), landlock_rules=config["landlock_rules"].encode())
    failed = shim.fnlite_isolate(ctypes.byref(how))
    if failed:
        raise OSError(-failed % 1000, "isolation step %d: %s" % (-failed // 1000, os.strerror(-failed % 1000)))


def load(config):
    """The handler, or why there is none."""
    sys.meta_path.insert(0, LoggingSetUp)
    sys.path[:] = [config["code"], config["layers"]] + sys.path + config["site_packages"]
    try:
        return load_handler(config), None
    except Failure as failure:
        return None, failure


def main():
    global CODE
    config = json.loads(sys.argv.pop())
    CODE = config["code"]
    sys.argv[:] = [""]
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)  # an integer of any length is JSON
    open_streams()
    shim = ctypes.PyDLL(config["shim"])
    shim.fnlite_setup()
    if config["single"]:
        isolate(shim, config["isolation"], (EVENT_FD, 1, 2), os.getpid())
        handler, failure = load(config)
        flush()
        sock = socket.socket(fileno=EVENT_FD)
        sock.send(b"K")
        Instance(config, handler, failure).run(sock)
    control = socket.socket(fileno=EVENT_FD)
    try:
        before = open_kinds()
    except OSError:
        before = {}
    began = time.monotonic()
    handler, failure = load(config)
    took_us = int((time.monotonic() - began) * 1e6)
    flush()
    unsafe = "" if failure else unsafe_to_fork(before, config["isolation"]["fresh_mounts"])
    report = {"kind": failure.kind, "text": failure.text} if failure else {"kind": "F" if unsafe else "Z", "text": unsafe}
    report["load_us"] = took_us
    gc.collect()
    if hasattr(gc, "freeze"):
        gc.freeze()
    control.send(json.dumps(report).encode())
    if failure or unsafe:
        os._exit(0)
    null = os.open("/dev/null", os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.close(null)
    Zygote(config, shim, control, Instance(config, handler, failure)).serve()


CODE = "/var/user"
main()
