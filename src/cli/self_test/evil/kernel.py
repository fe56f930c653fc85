"""System calls that no function needs. Each is made so that it cannot do what it asks for even where it is let through:
with arguments that are looked at only after the right."""
import ctypes
import errno
import mmap
import os
import resource
import socket
import struct

from tools import IS_X86_64, call, first_of, got_by, in_child, others, read

NEW_USER, NEW_NS, NEW_PID, NEW_NET = 0x10000000, 0x00020000, 0x20000000, 0x40000000
PTRACE_TRACEME, PTRACE_SEIZE, PTRACE_DETACH = 0, 0x4206, 17
text = ctypes.c_char_p


def ptrace_others(event):
    return first_of(*(got_by("ptrace", PTRACE_SEIZE, pid, 0, 0) for pid in others(event)))


def ptrace_by_parent(event):
    return in_child(got_by("ptrace", PTRACE_TRACEME, 0, 0, 0))


def vectors(length=8):
    """The own and the other side of a copy between processes; a fork has the same objects at the same places."""
    here = ctypes.create_string_buffer(length)
    vector = ctypes.c_ulong * 2
    return here, vector(ctypes.addressof(here), length), vector(id(None), length)


def read_memory(event):
    here, own, other = vectors()
    def by_call(pid):
        return got_by("process_vm_readv", pid, own, 1, other, 1, 0)
    def by_file(pid):
        def way():
            file = os.open("/proc/%d/mem" % pid, os.O_RDONLY)
            return "read %d bytes" % len(os.pread(file, 8, id(None)))
        return way
    return first_of(*(by(pid) for by in (by_call, by_file) for pid in others(event)))


def write_memory(event):
    """Writes what stands there already, into whoever has the same objects at the same places: the process it was forked
    from, if anybody."""
    here, own, other = vectors()
    ctypes.memmove(here, id(None), 8)
    def by_call(pid):
        return got_by("process_vm_writev", pid, own, 1, other, 1, 0)
    def by_file(pid):
        def way():
            os.close(os.open("/proc/%d/mem" % pid, os.O_RDWR))
            return "the memory of %d is open for writing" % pid
        return way
    return first_of(*(by(pid) for by in (by_file, by_call) for pid in others(event)[:1]))


def take_descriptors(event):
    def way(pid):
        handle = call("pidfd_open", pid, 0)
        return "took descriptor %d" % call("pidfd_getfd", handle, 3, 0)
    return first_of(*(lambda pid=pid: way(pid) for pid in others(event)))


def mount_anew(event):
    return in_child(lambda: first_of(
        got_by("mount", text(b"none"), text(b"/tmp"), text(b"fnlite-none"), 0, 0, right=(errno.ENODEV,)),
        got_by("fsopen", text(b"tmpfs"), 0),
        got_by("open_tree", -100, text(b"/"), 1)))


def remount_writable(event):
    """In earnest only where it has mounts of its own to spoil."""
    if event["level"] < 3:
        return got_by("mount", text(b"none"), text(b"/tmp"), text(b"fnlite-none"), 0, 0, right=(errno.ENODEV,))()
    read_write = (ctypes.c_uint64 * 4)(0, 1, 0, 0)
    return in_child(lambda: first_of(
        got_by("mount", None, text(b"/"), None, 0x20 | 0x1000, None),
        got_by("mount", None, text(b"/usr"), None, 0x20 | 0x1000, None),
        got_by("mount_setattr", -100, text(b"/"), 0, read_write, 32)))


def unmount_walls(event):
    """In earnest only where it has mounts of its own to spoil; elsewhere it marks them as unused, which does nothing."""
    places = (b"/var/user", b"/usr", b"/tmp", b"/dev/shm", b"/proc", b"/")
    detach, expire = 2, 4
    flag, right = (detach, ()) if event["level"] >= 3 else (expire, (errno.EAGAIN, errno.EBUSY, errno.EINVAL))
    return in_child(lambda: first_of(*(got_by("umount2", text(place), flag, right=right) for place in places)))


def change_root(event):
    return in_child(lambda: first_of(
        got_by("chroot", text(b"/tmp")),
        got_by("pivot_root", text(b"/nowhere"), text(b"/nowhere"), right=(errno.ENOENT,))))


def new_user_namespace(event):
    def by_clone():
        child = call("clone", NEW_USER | 17, 0, 0, 0, 0)
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        return "clone made one"
    return first_of(lambda: in_child(got_by("unshare", NEW_USER)), lambda: in_child(by_clone))


def new_user_namespace_by_clone3(event):
    arguments = (ctypes.c_uint64 * 11)(NEW_USER, 0, 0, 0, 17)
    def by_clone3():
        child = call("clone3", arguments, 88)
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        return "clone3 made one"
    return in_child(by_clone3)


def new_namespaces(event):
    return in_child(lambda: first_of(*(got_by("unshare", flag) for flag in (NEW_NS, NEW_PID, NEW_NET, 0x08000000, 0x04000000))))


def join_namespaces(event):
    def way(pid, name):
        file = os.open("/proc/%d/ns/%s" % (pid, name), os.O_RDONLY)
        return got_by("setns", file, 0)()
    def by_handle(pid):
        return got_by("setns", call("pidfd_open", pid, 0), NEW_NS | NEW_PID)()
    pids = others(event)[:4]
    names = ("mnt", "pid", "net", "user", "ipc")
    return in_child(lambda: first_of(*(lambda pid=pid, name=name: way(pid, name) for pid in pids for name in names),
                                     *(lambda pid=pid: by_handle(pid) for pid in pids)))


def use_keyrings(event):
    return first_of(
        got_by("add_key", text(b"user"), text(event["mark"].encode()), text(b"x"), 1, -1),
        got_by("keyctl", 0, -3, 1),
        got_by("request_key", text(b"user"), text(b"fnlite"), None, -3, right=(errno.ENOKEY,)))


def load_bpf(event):
    array = (ctypes.c_uint32 * 12)(2, 4, 8, 1)
    return got_by("bpf", 0, array, 48)()


def watch_performance(event):
    attributes = (ctypes.c_uint32 * 32)(1, 128)
    return got_by("perf_event_open", attributes, 0, -1, -1, 0)()


def catch_page_faults(event):
    return got_by("userfaultfd", 1)()


def use_io_uring(event):
    return got_by("io_uring_setup", 1, (ctypes.c_uint32 * 30)())()


def load_modules(event):
    return first_of(
        got_by("init_module", 0, 0, text(b""), right=(errno.ENOEXEC, errno.EFAULT)),
        got_by("finit_module", -1, text(b""), 0, right=(errno.EBADF,)),
        got_by("delete_module", text(b"fnlite_none"), 0o4000, right=(errno.ENOENT,)))


def start_other_kernel(event):
    return first_of(got_by("kexec_load", 0, 0, 0, 0xFFFF, right=(errno.EINVAL,)),
                    got_by("reboot", 0xFEE1DEAD, 672274793, 0x1234, 0, right=(errno.EINVAL,)))


def set_clock(event):
    zone = (ctypes.c_int * 2)()
    call("gettimeofday", 0, zone)
    return got_by("settimeofday", 0, zone)()


def use_swap_and_accounting(event):
    missing = text(b"/fnlite-none")
    return first_of(got_by("swapon", missing, 0, right=(errno.ENOENT,)), got_by("acct", missing, right=(errno.ENOENT,)),
                    got_by("quotactl", 0x80000200, missing, 0, 0))


def rename_host(event):
    return in_child(got_by("sethostname", text(b"evil"), 4))


def read_kernel_log(event):
    return got_by("syslog", 3, ctypes.create_string_buffer(64), 64)()


def use_x32(event):
    """getpid by the numbers of the x32 ABI, which a filter of x86_64's numbers would not know."""
    return got_by(0x40000000 | 39)() if IS_X86_64 else None


def use_i386(event):
    """getpid by the numbers of i386, which mean other calls than x86_64's."""
    if not IS_X86_64:
        return None
    def way():
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20; int 0x80; ret
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        result = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
        return "its process id is %d" % result if result > 0 else None
    return in_child(way)


def become_root(event):
    if os.getuid() == 0:
        return "is root"
    return first_of(lambda: os.setuid(0) or "setuid", lambda: os.setresuid(0, 0, 0) or "setresuid",
                    lambda: os.setgid(0) or "setgid", lambda: os.setgroups([0]) or "setgroups")


def raise_capabilities(event):
    header, all_rights = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(*[0xFFFFFFFF] * 6)
    held = [line for line in read("/proc/self/status").splitlines() if line.startswith("CapEff")] \
        if os.path.exists("/proc/self/status") else []
    if held and int(held[0].split()[1], 16):
        return held[0]
    return got_by("capset", header, all_rights)()


def gain_by_program(event):
    """Whether a set-user-ID program would give it anything: 1 means that none does."""
    return None if call("prctl", 39, 0, 0, 0, 0) == 1 else "set-user-ID programs work"


def raise_priority(event):
    return first_of(lambda: "nice %d" % os.nice(-5),
                    lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)) or "real time",
                    got_by("ioprio_set", 1, 0, 1 << 13))


def raise_limits(event):
    def way(number):
        soft, hard = resource.getrlimit(number)
        if hard == resource.RLIM_INFINITY:
            return None
        try:
            resource.setrlimit(number, (soft, hard + 1))
        except ValueError:
            raise OSError(errno.EPERM, "not allowed to raise it")
        return "raised limit %d" % number
    numbers = (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_DATA, resource.RLIMIT_FSIZE,
               resource.RLIMIT_CORE)
    return first_of(*(lambda number=number: way(number) for number in numbers))


def change_server_limits(event):
    """Sets one to what it is."""
    pid = event["server_pid"]
    resource.prlimit(pid, resource.RLIMIT_CORE, resource.prlimit(pid, resource.RLIMIT_CORE))
    return "set a limit"


def slow_server_down(event):
    """Binds the server to the processors it is bound to."""
    pid = event["server_pid"]
    os.sched_setaffinity(pid, os.sched_getaffinity(pid))
    return "could have bound it to one processor"


def type_into_terminal(event):
    return got_by_opening("/dev/tty", "/dev/console", "/dev/tty1", "/dev/pts/0")


def got_by_opening(*paths):
    def way(path):
        os.close(os.open(path, os.O_RDWR | os.O_NOCTTY))
        return "opened " + path
    return first_of(*(lambda path=path: way(path) for path in paths))


def open_raw_sockets(event):
    def way(*kind):
        socket.socket(*kind).close()
        return "opened %s" % (kind,)
    return first_of(lambda: way(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
                    lambda: way(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW),
                    lambda: way(socket.AF_PACKET, socket.SOCK_RAW, 0x0300))


def open_odd_sockets(event):
    """Families whose code few use and many faults were found in; one of them leads to the hypervisor."""
    def way(family, kind):
        socket.socket(family, kind).close()
        return "opened family %d" % family
    return first_of(*(lambda family=family, kind=kind: way(family, kind)
                      for family in (9, 15, 21, 29, 30, 31, 38, 39, 40, 44)
                      for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM, socket.SOCK_SEQPACKET)))


def change_routes(event):
    """Asks the kernel to change nothing of the loopback device, which only somebody who may change it is let."""
    link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    request = struct.pack("=IHHIIBBHiII", 32, 19, 5, 1, 0, 0, 0, 0, 1, 0, 0)
    link.send(request)
    answer = link.recv(4096)
    code = struct.unpack_from("=i", answer, 16)[0]
    if code:
        raise OSError(-code, os.strerror(-code))
    return "changed the loopback device"
