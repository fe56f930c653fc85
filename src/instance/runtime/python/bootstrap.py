"""The platform's side of a Python function, for CPython 3.6 and newer.

Started by the launcher as `python -I -S -B bootstrap CONFIG`, where CONFIG is JSON (see instance/launch.rs). It loads the
user's module once. As a *zygote* it then forks an Instance for every order on its control socket; as a *single* it is the
one Instance itself. An Instance walls itself in, warms up, takes one event, answers, and is killed. Forking, walls and
frames are C: module.c beside this file.

What must stay true: the parent never runs user code after loading; nothing is imported here that the interpreter has not
loaded or built in already, since every page touched here is a page copied for each Instance (`json`, `socket`, `os` and
`ctypes` together cost a fifth of an Instance's processor time).
"""
import _imp
import _json
import _thread
import gc
import io
import posix
import sys
import time

DESCRIPTORS_MAX = 1024  # contract 2.6
TRACE_CHARS_MAX = 16000  # a report from the zygote must fit one datagram, escapes included
DUMMY_EVENT = b'{"key1":"test value 1","key2":[1,2.5,null,true,{"a":"\xc3\xa9"}]}'
DUMMY_ID = "00000000-0000-0000-0000-000000000000"
HERE = __file__
print_exception = sys.__excepthook__


class Failure(Exception):
    """The function cannot run: an answer's kind and its text."""

    def __init__(self, kind, text):
        super().__init__(text)
        self.kind, self.text = kind, text


# ------------------------------------------------------------------------------------------------------------------- JSON

class Scanning:
    """What `json.JSONDecoder` would tell the C scanner."""

    strict, object_hook, object_pairs_hook, parse_float, parse_int, parse_constant = True, None, None, float, int, float


scan = _json.make_scanner(Scanning)


def users_json():
    """The library's `json` where the user's code has loaded it, so that what the code changed in it holds; a file of the
    user's own by that name is not meant."""
    json = sys.modules.get("json")
    return None if (getattr(json, "__file__", None) or "").startswith(CODE + "/") else json


def decode(text):
    """A JSON text, which has been checked to be one, as a value."""
    json = users_json()
    return json.loads(text) if json else scan(text.strip(" \t\n\r"), 0)[0]


def encode(value):
    """The contract's JSON (3.1): non-ASCII kept, no NaN."""
    decimal = getattr(sys.modules.get("decimal"), "Decimal", None)
    if isinstance(decimal, type) and isinstance(value, decimal):
        value = str(value)
    json = users_json()
    return json.dumps(value, ensure_ascii=False, allow_nan=False) if json else encode_plainly(value)


def encode_plainly(value):
    """The same, whatever the user's code did to the library."""
    encoder = _json.make_encoder(
        {}, refuse, _json.encode_basestring, None, ": ", ", ", False, False, False)
    return "".join(encoder(value, 0))


def refuse(value):
    raise TypeError("Object of type %s is not JSON serializable" % value.__class__.__name__)


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
    module = None
    try:
        module = load_module(config["code"], file)
        return getattr(module, function)
    except SystemExit as error:
        raise Failure("X", str(exit_code(error)))
    except MemoryError as error:
        raise Failure("M", trace(error))
    except BaseException as error:
        if module is None:
            missing = isinstance(error, ImportError) and error.name == file and not own_frames(error.__traceback__)
        else:
            missing = isinstance(error, AttributeError)
        raise Failure("H", str(error)) if missing else Failure("E", trace(error))


def load_module(code, file):
    """The user's module; a name that the interpreter's own modules already took is loaded from the user's file all the
    same."""
    if file not in sys.modules:
        return __import__(file)
    import importlib.util
    path = "%s/%s.py" % (code, file)
    spec = importlib.util.spec_from_file_location(file, path)
    try:
        posix.stat(path)
    except OSError:
        raise ImportError("No module named %r" % file, name=file)
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
    """The error as the interpreter itself would print it, without our frames, paths as the platform shows them."""
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename == HERE:
        tb = tb.tb_next
    stderr, sys.stderr = sys.stderr, io.StringIO()
    try:
        print_exception(type(error), error.with_traceback(tb), tb)
        text = sys.stderr.getvalue()
    finally:
        sys.stderr = stderr
    return cut(text.rstrip("\n").replace(CODE + "/", "/var/user/"))


def cut(text):
    half = TRACE_CHARS_MAX // 2
    return text if len(text) <= TRACE_CHARS_MAX else text[:half] + "\n...\n" + text[-half:]


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

# None of this may need /proc: many containers let nobody mount one.

def shared_by_fork():
    """Open descriptors that a fork would share in a harmful way: number to kind."""
    kinds = {}
    for number in range(DESCRIPTORS_MAX):
        try:
            mode = posix.fstat(number).st_mode & 0o170000
        except OSError:
            continue
        if mode == 0o140000:
            kinds[number] = "a socket"
        elif mode == 0:  # eventfd, epoll, timerfd, inotify: files of no type
            kinds[number] = "an event descriptor"
    return kinds


def thread_count():
    try:
        return len(posix.listdir("/proc/self/task"))
    except OSError:  # the interpreter's own are what can still be seen
        return 1 + _thread._count()


def has_children():
    try:
        posix.waitid(posix.P_ALL, 0, posix.WEXITED | posix.WNOHANG | posix.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def unsafe_to_fork(before, private_tmp):
    """Why forking this process would not give a faithful copy; empty when it would."""
    if private_tmp and (posix.listdir("/tmp") or posix.listdir("/dev/shm")):
        return "a file was written to /tmp at import"
    if thread_count() > 1:
        return "a thread was started at import"
    if has_children():
        return "a child process was started at import"
    opened = {kind for number, kind in shared_by_fork().items() if before.get(number) != kind}
    return "%s was opened at import" % min(opened) if opened else ""


# ----------------------------------------------------------------------------------------------------------- one Instance

def run(shim, handler, failure, context):
    """Takes one event and answers it; never returns."""
    count = parameter_count(handler) if handler else 2
    outcome(DUMMY_EVENT, dict(context, request_id=DUMMY_ID), lambda event, context: event)
    request_id, event = shim.receive()
    if failure:
        kind, text = failure.kind, failure.text
    else:
        context = dict(context, request_id=request_id.decode())
        kind, text = outcome(event, context, lambda *both: handler(*both[:count]))
    flush()
    shim.answer(ord(kind), text.encode("utf-8", "replace"))


def outcome(event, context, call):
    """Kind and text of the answer."""
    try:
        value = call(decode(event.decode()), context)
    except SystemExit as error:
        return "X", str(exit_code(error))
    except MemoryError as error:
        return "M", trace(error)
    except BaseException as error:
        return "E", trace(error)
    try:
        text = encode(value)
        text.encode()
        return "R", text
    except MemoryError:
        return "M", "MemoryError"
    except BaseException as error:  # no JSON: no frame of this is the user's
        error.__traceback__ = error.__context__ = error.__cause__ = None
        return "E", trace(error)


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


def walled(result):
    """Ends a process whose walls do not stand."""
    if result:
        step, errno = divmod(-result, 1000)
        posix.write(2, ("isolation step %d: %s\n" % (step, posix.strerror(errno))).encode())
        posix._exit(70)


# ------------------------------------------------------------------------------------------------------------------- roles

def single(shim, config, isolation):
    walled(shim.isolate(*isolation))
    handler, failure, _ = load(config)
    shim.notice(ord("K"))
    run(shim, handler, failure, config["context"])


def zygote(shim, config, isolation):
    before = shared_by_fork()
    if not config["isolation"]["fresh_mounts"]:
        walled(shim.restrict(*isolation))  # no mounts will follow, so loading is held as well
    handler, failure, took_us = load(config)
    unsafe = "" if failure else unsafe_to_fork(before, config["isolation"]["fresh_mounts"])
    kind, text = (failure.kind, failure.text) if failure else ("F" if unsafe else "Z", unsafe)
    gc.collect()
    if hasattr(gc, "freeze"):
        gc.freeze()
    report = encode_plainly({"kind": kind, "text": cut(text), "load_us": took_us})
    posix.write(3, report.encode("utf-8", "replace"))
    if kind != "Z":
        posix._exit(0)
    null = posix.open("/dev/null", posix.O_WRONLY)
    posix.dup2(null, 1)
    posix.dup2(null, 2)
    posix.close(null)
    walled(shim.serve(*isolation))
    reseed()
    run(shim, handler, None, config["context"])


def load(config):
    """The handler, or why there is none, and how long finding out took."""
    began = time.monotonic()
    sys.meta_path.insert(0, LoggingSetUp)
    sys.path[:] = [config["code"], config["layers"]] + sys.path + config["site_packages"]
    handler = failure = None
    try:
        handler = load_handler(config)
    except Failure as error:
        failure = error
    flush()
    return handler, failure, int((time.monotonic() - began) * 1e6)


def open_shim(path):
    class Spec:
        name, origin, loader = "_fnlite", path, None
    return _imp.create_dynamic(Spec)


def main():
    global CODE
    config = decode(sys.argv.pop())
    CODE = config["code"]
    sys.argv[:] = [""]
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)  # an integer of any length is JSON
    open_streams()
    shim = open_shim(config["shim"])
    shim.setup()
    walls = config["isolation"]
    isolation = (walls["pid_namespace"], walls["fresh_mounts"], walls["fresh_proc"], walls["groups"],
                 walls["landlock_abi"], walls["tmp_options"].encode(), walls["landlock_rules"].encode())
    (single if config["single"] else zygote)(shim, config, isolation)


CODE = "/var/user"
main()
