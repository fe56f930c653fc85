"""The platform's side of a Python function, for CPython 2.7 and 3.6 and newer.

Started by the launcher as `python -I -S -B bootstrap CONFIG` (2.7: `-E -S -B`), where CONFIG is JSON (see
instance/launch.rs). It loads the user's module once. As a *zygote* it then forks an Instance for every order on its control
socket; as a *single* it is the one Instance itself. An Instance walls itself in, warms up, takes one event, answers, and is
killed, or is given another. Forking, walls and frames are C: module.c beside this file.

What must stay true: the parent never runs user code after loading; nothing is imported here that the interpreter has not
loaded or built in already, since every page touched here is a page copied for each Instance (`json`, `socket`, `os` and
`ctypes` together cost a fifth of an Instance's processor time). 2.7 has branches of its own (`IS_2`) and is not made fast.
"""
import _json
import _weakref
import gc
import io
import posix
import sys
import time

try:
    import _imp
    import _signal
    import _thread
except ImportError:  # 2.7
    import imp as _imp
    import signal as _signal
    import thread as _thread

DESCRIPTORS_MAX = 1024  # contract 2.6
TRACE_CHARS_MAX = 16000  # a report from the zygote must fit one datagram, escapes included
DUMMY_EVENT = b'{"key1":"test value 1","key2":[1,2.5,null,true,{"a":"\xc3\xa9"}]}'
DUMMY_ID = b"00000000-0000-0000-0000-000000000000"
WARM_ROUNDS = 24  # CPython 3.11 puts its faster instructions in after 8 calls and some more of each instruction
POOL_BYTES = 16384 if sys.version_info >= (3, 10) else 4096  # of CPython's allocator; so are these:
POOL_HEAD_BYTES, SMALL_BYTES_MAX, SIZE_STEP = 48, 512, 16
HERE = __file__
IS_2 = sys.version_info < (3,)
to_text, to_bytes = str, bytes  # no methods, which would be one more page to copy
print_exception = sys.__excepthook__


class Failure(Exception):
    """The function cannot run: an answer's kind and its text."""

    def __init__(self, kind, text):
        Exception.__init__(self, text)
        self.kind, self.text = kind, text


# ------------------------------------------------------------------------------------------------------------------- JSON

class Scanning:
    """What `json.JSONDecoder` would tell the C scanner."""

    strict, object_hook, object_pairs_hook, parse_float, parse_int, parse_constant = True, None, None, float, int, float
    encoding = "utf-8"  # 2.7


scan = _json.make_scanner(Scanning)


def is_users(path):
    """Whether a module's file is the user's; one that has the name of a module of the library is not meant by it."""
    return (path or "").startswith(CODE + "/")


def users_json():
    """The library's `json` where the user's code has loaded it, so that what the code changed in it holds; a file of the
    user's own by that name is not meant."""
    json = sys.modules.get("json")
    return None if is_users(getattr(json, "__file__", None)) else json


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
    return json.dumps(value, **DUMPS) if json else encode_plainly(value)


def encode_plainly(value):
    """The same, whatever the user's code did to the library."""
    encoder = _json.make_encoder(
        {}, refuse, _json.encode_basestring, None, ": ", ", ", False, False, False)
    return "".join(encoder(value, 0))


def refuse(value):
    raise TypeError("Object of type %s is not JSON serializable" % value.__class__.__name__)


DUMPS = {"ensure_ascii": False, "allow_nan": False}

if IS_2:
    to_text = str.decode

    def to_bytes(text, *how):
        return text.encode(*how)

    DUMPS["encoding"] = "UTF-8"  # spelt otherwise than its default, which lets bytes that are no ASCII meet Unicode

    import json as library
    del sys.modules["json"]  # a file of the user's may have that name

    def encode_plainly(value):
        return library.dumps(value, **DUMPS)


# ---------------------------------------------------------------------------------------------- loading the user's code

class OnImport:
    """Sees to some modules of the library the moment they are first imported, so that a hello-world that uses none of them
    does not pay for it."""

    todo = {}

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        see_to = cls.todo.pop(name, None)
        if not see_to:
            return None
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in sys.meta_path)), None)
        if spec and not is_users(spec.origin):
            load = spec.loader.exec_module

            def load_and_see_to(module):
                load(module)
                see_to(module)

            spec.loader.exec_module = load_and_see_to
        return spec

    @classmethod
    def find_module(cls, name, path=None):
        """2.7 asks so."""
        return cls if name in cls.todo else None

    @classmethod
    def load_module(cls, name):
        see_to = cls.todo.pop(name)
        module = __import__(name)
        if not is_users(getattr(module, "__file__", None)):
            see_to(module)
        return module


def set_up_logging(logging):
    """The platform's handler for the root logger: `logging.info` without set-up still reaches the log (contract 5.1)."""
    logging.root.addHandler(logging.StreamHandler(sys.stdout))
    logging.root.setLevel(logging.DEBUG)


# The library's `json` as the code imported it, and what was in those parts of it that read.
library_json, json_parts = None, ()
# Set while that is still in them: then events are read without it, which gives the same and has fewer pages copied.
reads_plainly = False


def note_json(json):
    global library_json, json_parts
    library_json = json
    parts = json, json.decoder, json.decoder.JSONDecoder, json._default_decoder, json.scanner
    json_parts = [(vars(part), dict(vars(part))) for part in parts]


def is_json_unchanged():
    def is_same(now, then):
        return len(now) == len(then) and all(now.get(name) is value for name, value in then.items())

    return users_json() in (None, library_json) and all(is_same(*part) for part in json_parts)


class Unseeded:
    """The generators of `random` that the code makes while it is loaded and seeds with nothing. Whoever does that wants
    numbers that nobody can tell, so each Instance seeds its copies again; those with a seed are left alone."""

    found = {}
    restore = None

    @classmethod
    def watch(cls, random):
        seed = random.Random.seed

        def seed_and_note(self, a=None, *version, **named):
            seed(self, a, *version, **named)
            if a is None:
                cls.found[id(self)] = _weakref.ref(self)
            else:
                cls.found.pop(id(self), None)

        def restore():
            random.Random.seed = seed

        random.Random.seed, cls.restore = seed_and_note, staticmethod(restore)

    @classmethod
    def stop_watching(cls):
        """Loading is over; what follows pays nothing."""
        OnImport.todo.pop("random", None)
        if cls.restore:
            cls.restore()

    @classmethod
    def seed_again(cls):
        for found in tuple(cls.found.values()):
            generator = found()
            if generator is not None:
                generator.seed()


OnImport.todo.update(logging=set_up_logging, random=Unseeded.watch)
if not IS_2:
    OnImport.todo["json"] = note_json


def open_streams(shim):
    """Line-buffered UTF-8 streams that never raise over a character: a line is in the pipe once it is complete, so it is
    kept even when the process is killed."""
    if IS_2:
        return shim.open_streams(sys.stdout, sys.stderr)
    for name in ("stdout", "stderr"):
        raw = getattr(sys, name).detach()
        stream = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)
        setattr(sys, name, stream)
        setattr(sys, "__%s__" % name, stream)


def load_handler(config):
    module = None
    try:
        file, function = str(config["handler_file"]), str(config["handler_function"])
        module = load_module(CODE, file)
        return getattr(module, function)
    except SystemExit as error:
        raise Failure("X", str(exit_code(error)))
    except MemoryError:
        raise Failure("M", trace())
    except:  # in 2.7 anything may be raised
        _, error, frames = sys.exc_info()
        if module is None:
            missing = isinstance(error, ImportError) and names(error, file) and not own_frames(frames)
        else:
            missing = isinstance(error, AttributeError)
        raise Failure("H", str(error)) if missing else Failure("E", trace())


def names(error, module):
    """Whether it is that module which could not be imported."""
    return getattr(error, "name", str(error).replace("No module named ", "", 1)) == module


def load_module(code, file):
    """The user's module; a name that the interpreter's own modules already took is loaded from the user's file all the
    same."""
    if file not in sys.modules:
        return __import__(file)
    path = "%s/%s.py" % (code, file)
    try:
        posix.stat(path)
    except OSError:
        error = ImportError("No module named %r" % file)
        error.name = file
        raise error
    if IS_2:
        return _imp.load_source(file, path)
    import importlib.util
    spec = importlib.util.spec_from_file_location(file, path)
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


def trace(has_frames=True):
    """The error that is being handled as the interpreter itself would print it, without our frames, paths as the platform shows
    them."""
    kind, error, tb = sys.exc_info()
    while tb is not None and (tb.tb_frame.f_code.co_filename == HERE or not has_frames):
        tb = tb.tb_next
    if not IS_2:
        error = error.with_traceback(tb)
        if not has_frames:
            error.__context__ = error.__cause__ = None
    stderr, sys.stderr = sys.stderr, io.BytesIO() if IS_2 else io.StringIO()
    try:
        print_exception(kind, error, tb)
        text = sys.stderr.getvalue()
    finally:
        sys.stderr = stderr
    if IS_2:
        text = text.decode("utf-8", "replace")
    return cut(text.rstrip("\n").replace(CODE + "/", "/var/user/"))


def cut(text):
    half = TRACE_CHARS_MAX // 2
    return text if len(text) <= TRACE_CHARS_MAX else text[:half] + "\n...\n" + text[-half:]


def exit_code(error):
    """What the interpreter would exit with, printing what it would print."""
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    sys.stderr.write("%s\n" % (error.code,))
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

# A fork copies a process's own state and shares the rest: whatever a run could change for the next one is named here. Where
# nobody can mount a /proc, as in many containers, there is none to look into, and what cannot be seen is assumed.

KINDS = {
    0o140000: "a socket",
    0o010000: "a pipe",
    0o100000: "a file",  # its position is shared, and its content where it is in memory
    0o040000: "a folder",
    0: "an event descriptor",  # eventfd, epoll, timerfd, inotify: files of no type
}


def shared_by_fork():
    """Open descriptors whose state a fork shares: number to kind and identity. Devices have none."""
    found = {}
    for number in range(DESCRIPTORS_MAX):
        try:
            status = posix.fstat(number)
        except OSError:
            continue
        kind = KINDS.get(status.st_mode & 0o170000)
        if kind:
            found[number] = kind, status.st_dev, status.st_ino
    return found


def shares_memory():
    """Whether memory is mapped that a fork would share and a run could write. What is not writable now can be made so if
    no file system says otherwise."""
    try:
        file = posix.open("/proc/self/maps", posix.O_RDONLY)
    except OSError:
        return any(name in sys.modules for name in ("mmap", "_multiprocessing", "_posixshmem"))
    text = b"".join(iter(lambda: posix.read(file, 65536), b""))
    posix.close(file)
    lines = (line.split(None, 5) for line in text.splitlines())
    return any(line[1][3:] == b"s" and (b"w" in line[1] or line[-1].endswith(b" (deleted)")) for line in lines)


def thread_count():
    try:
        return len(posix.listdir("/proc/self/task"))
    except OSError:  # the interpreter's own are what can still be seen
        return 1 + _thread._count()


def has_children():
    try:
        if IS_2:  # nobody asks for it any more, since code with a child is not forked
            posix.waitpid(-1, posix.WNOHANG)
        else:
            posix.waitid(posix.P_ALL, 0, posix.WEXITED | posix.WNOHANG | posix.WNOWAIT)
    except OSError:
        return False
    return True


def has_timer():
    return any(_signal.getitimer(which) != (0.0, 0.0) for which in range(3))


def unsafe_to_fork(before, tmp):
    """Why forking this process would not give a faithful copy; empty when it would. `tmp` is the folder below which each
    Instance will have one for temporary files, if /tmp is not its own."""
    if any(map(posix.listdir, [tmp + "/0"] if tmp else ["/tmp", "/dev/shm"])) or tmp and posix.listdir(tmp) != ["0"]:
        return "a file was written to /tmp at import"
    if tmp and getattr(sys.modules.get("tempfile"), "tempdir", None):
        return "the temporary folder was looked up at import"
    if thread_count() > 1:
        return "a thread was started at import"
    if has_children():
        return "a child process was started at import"
    if has_timer():
        return "a timer was started at import"
    if shares_memory():
        return "shared memory was made at import"
    opened = {what[0] for number, what in shared_by_fork().items() if before.get(number) != what}
    return "%s was opened at import" % min(opened) if opened else ""


# ----------------------------------------------------------------------------------------------------------- one Instance

def run(shim, handler, context, is_reused, count, written):
    """Takes one event and answers it, and waits for another, which only those get that are reused; never returns."""
    global reads_plainly
    if not shim.is_awaited():
        # What a run writes to is copied now and not while somebody waits for it.
        copied = written[:]
        answer(DUMMY_ID, DUMMY_EVENT, context, dict, 1)
    while True:
        request_id, event = shim.receive()
        shim.answer(*answer(request_id, event, context, handler, count))
        if is_reused:
            reads_plainly = False  # who knows what the code has changed
            shim.clean()


def written_by_calling(handler):
    """Objects of a handler that each call counts references of. Whoever has this list has written to them."""
    function = getattr(handler, "__func__", handler)
    code = getattr(function, "__code__", None)
    return [handler, function, code, getattr(code, "co_consts", None), getattr(function, "__globals__", None)]


def answer(request_id, event, context, handler, count):
    """Kind and text of what a handler answers to an event, for the wire. It takes so many of event and context.

    What most runs do is in this one function, since each function is some pages that every Instance copies.
    """
    modules = sys.modules
    try:
        context = dict(context, request_id=to_text(request_id, "utf-8"))
        event = to_text(event, "utf-8")
        try:
            event = scan(event, 0)[0] if reads_plainly else decode(event)
        except StopIteration:  # a space stands before it
            event = decode(event)
        value = handler(event, context) if count == 2 else handler(event) if count else handler()
    except SystemExit as error:
        kind, text = "X", str(exit_code(error))
    except MemoryError:
        kind, text = "M", trace()
    except:
        kind, text = "E", trace()
    else:
        try:
            json = modules["json"] if "json" in modules else None
            if IS_2 or json is not library_json or "decimal" in modules:
                text = encode(value)
            elif json:
                text = json.dumps(value, ensure_ascii=False, allow_nan=False)
            else:
                text = encode_plainly(value)
            kind, text = "R", to_bytes(text, "utf-8")
        except MemoryError:
            kind, text = "M", "MemoryError"
        except:  # no JSON: no frame of this is the user's
            kind, text = "E", trace(has_frames=False)
    flush()
    return ord(kind), text if kind == "R" else to_bytes(text, "utf-8", "replace")


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # the user may have closed or replaced it
            pass


def seeds():
    """What seeds random state anew that would be the same in every Instance. `random` and OpenSSL reseed by themselves after a
    fork."""
    found = [Unseeded.seed_again] if Unseeded.found else []
    if sys.version_info < (3, 7) and "random" in sys.modules:
        found.append(sys.modules["random"].seed)
    if sys.modules.get("numpy.random"):
        found.append(sys.modules["numpy.random"].seed)
    return found


def move_tmp(tmp, number):
    """Each Instance has a temporary folder of its own."""
    if posix.environ.get(b"TMPDIR") == (tmp + "/0").encode():
        path = str("%s/%d" % (tmp, number))
        posix.environ[b"TMPDIR"] = path.encode()
        posix.putenv("TMPDIR", path)
        environ = getattr(sys.modules.get("os"), "environ", None)
        if environ is not None:
            environ["TMPDIR"] = path


def warm(context):
    """Does what an Instance will do before it is forked: caches of types and instructions that are full by then are pages that no
    Instance has to copy."""
    for _ in range(WARM_ROUNDS):
        answer(DUMMY_ID, DUMMY_EVENT, context, dict, 1)


def gather():
    """Makes the functions of a run once more, one after the other: as they were loaded, each lies on pages of its own, and an Instance
    would copy them all."""
    for function in (run, answer, encode_plainly, flush):
        code = function.__code__
        if hasattr(code, "replace"):  # 3.8
            globals()[code.co_name] = type(function)(code.replace(), globals(), code.co_name, function.__defaults__)


def fresh_pools():
    """What has to be kept so that the next small object of each size lies on a page with those that follow, and with the head of its
    pool, which every allocation writes to. Blocks that are free here and there would each be a page to copy."""
    kept = []
    if IS_2:  # its objects have other sizes
        return kept
    for size in range(SIZE_STEP, SMALL_BYTES_MAX + 1, SIZE_STEP):
        for _ in range(POOL_BYTES // size):
            kept.append(object() if size == 16 else len(kept) + 1000 if size == 32 else bytes(size - 33))
            if id(kept[-1]) % POOL_BYTES == POOL_HEAD_BYTES:  # the first of a new pool
                break
    return kept


def walled(result):
    """Ends a process whose walls do not stand."""
    if result < 0:
        step, errno = divmod(-result, 1000)
        posix.write(2, ("isolation step %d: %s\n" % (step, posix.strerror(errno))).encode())
        posix._exit(70)


# ------------------------------------------------------------------------------------------------------------------- roles

def single(shim, config, isolation):
    walled(shim.isolate(*isolation))
    handler, failure, _ = load(config)
    shim.notice(ord("K"))
    while failure:
        shim.receive()
        shim.answer(ord(failure.kind), to_bytes(failure.text, "utf-8", "replace"))
    run(shim, handler, config["context"], config["reuse"], parameter_count(handler), written_by_calling(handler))


def zygote(shim, config, isolation):
    global reads_plainly
    before = shared_by_fork()
    if not config["isolation"]["cell"]:
        walled(shim.restrict(*isolation))  # no mounts will follow, so loading is held as well
    handler, failure, took_us = load(config)
    tmp = config["isolation"]["tmp"]
    gc.collect()
    if not failure:
        kept = fresh_pools()  # and what is kept, an Instance keeps
        reads_plainly = is_json_unchanged()
        gather()
        warm(config["context"])  # before anything is looked at, since the user's code may have changed the library's `json`
    unsafe = "" if failure else unsafe_to_fork(before, tmp)
    kind, text = (failure.kind, failure.text) if failure else ("F" if unsafe else "Z", unsafe)
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
    again, count, written = seeds(), parameter_count(handler), written_by_calling(handler)
    context = scan(encode_plainly(config["context"]), 0)[0]  # beside what an Instance makes
    number = shim.serve(*isolation)
    if number < 0:
        walled(number)
    if tmp:
        move_tmp(tmp, number)
    for seed in again:
        seed()
    run(shim, handler, context, config["reuse"], count, written)


def load(config):
    """The handler, or why there is none, and how long finding out took."""
    clock = getattr(time, "monotonic", time.time)
    began = clock()
    sys.meta_path.insert(0, OnImport)
    if IS_2:
        del sys.path[0]  # where this file is
    sys.path[:] = [CODE, str(config["layers"])] + sys.path + [str(path) for path in config["site_packages"]]
    handler = failure = None
    try:
        handler = load_handler(config)
    except Failure as error:
        failure = error
    Unseeded.stop_watching()
    flush()
    return handler, failure, int((clock() - began) * 1e6)


def leave(code=None):
    """`exit` and `quit`, which `site` would bring."""
    raise SystemExit(code)


def open_shim(path):
    if IS_2:
        return _imp.load_dynamic("_fnlite", path)

    class Spec:
        name, origin, loader = "_fnlite", path, None
    return _imp.create_dynamic(Spec)


def forget_the_linkers():
    """Takes a variable out that was for starting this interpreter alone."""
    if posix.environ.get(b"LD_BIND_NOW") == b"fnlite":
        del posix.environ[b"LD_BIND_NOW"]
        posix.unsetenv(b"LD_BIND_NOW")


def main():
    global CODE
    forget_the_linkers()
    config = decode(sys.argv.pop())
    CODE = str(config["code"])
    sys.argv[:] = [""]
    __builtins__.exit = __builtins__.quit = leave
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)  # an integer of any length is JSON
    shim = open_shim(config["shim"])
    open_streams(shim)
    shim.setup(not config["single"])
    walls = config["isolation"]
    isolation = (walls["cell"], walls["fresh_proc"], walls["groups"],
                 walls["landlock_abi"], walls["tmp_options"].encode(), walls["landlock_rules"].encode(),
                 walls["tmp"].encode())
    (single if config["single"] else zygote)(shim, config, isolation)


CODE = "/var/user"
main()
