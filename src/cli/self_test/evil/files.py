"""Files that are not the function's own: to be read, written, or reached by a detour."""
import ctypes
import os
import stat
import sys

from tools import call, first_of, got_by, making, pids, read, reading, writing


def read_database(event):
    return first_of(reading(event["db"]), reading(event["db"] + "-wal"), reading(event["db"] + "-shm"))


def read_lock_and_key(event):
    return first_of(reading(event["db"] + ".lock"), reading(event["socket"] + ".key"))


def list_data_folder(event):
    return first_of(lambda: " ".join(os.listdir(event["folder"])), lambda: " ".join(os.listdir(event["packages"])))


def read_other_code(event):
    return first_of(*(reading(os.path.join(event["victim"], name)) for name in ("secret.txt", "index.py")))


def read_other_environment(event):
    """All that can be had; whether somebody else's is among it is seen from outside."""
    found = ""
    for pid in pids():
        try:
            found += read("/proc/%d/environ" % pid)
        except OSError:
            pass
    return found


def read_server_environment(event):
    pid = event["server_pid"]
    if not read("/proc/%d/comm" % pid).startswith("fnlite"):
        return None
    return first_of(*(reading("/proc/%d/%s" % (pid, name)) for name in ("environ", "maps", "auxv")))


def read_shadow(event):
    return first_of(*(reading(path) for path in ("/etc/shadow", "/etc/gshadow", "/etc/shadow-", "/etc/sudoers")))


def read_home(event):
    """Where the interpreter itself lies in somebody's home, the way to it is there for it to see."""
    homes = ["/root"] + [os.path.join("/home", name) for name in os.listdir("/home") if name != "qcloud"]
    def way(home):
        names = [name for name in os.listdir(home) if not sys.base_prefix.startswith(os.path.join(home, name) + "/")]
        return " ".join(names)
    return first_of(*(lambda home=home: way(home) for home in homes))


def read_host_processes(event):
    pid = event["server_pid"]
    return read("/proc/%d/cmdline" % pid) if read("/proc/%d/comm" % pid).startswith("fnlite") else None


def read_host_file(event):
    return read(event["bait"])


def write_host_file(event):
    return write(event["bait_open"])


def write(path):
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(file, b"evil was here")
    os.close(file)
    return "wrote to %s" % path


def write_own_code(event):
    own = os.path.dirname(os.path.abspath(__file__))
    return first_of(writing(os.path.join(own, "evil.py")), making(own, event["mark"]))


def change_modes(event):
    """Gives files the modes they have."""
    def way(path):
        os.chmod(path, stat.S_IMODE(os.stat(path).st_mode))
        return "could have changed the mode of " + path
    own = os.path.dirname(os.path.abspath(__file__))
    return first_of(*(lambda path=path: way(path) for path in (own, event["bait"], event["db"])))


def write_system(event):
    return first_of(*(making(folder, event["mark"]) for folder in ("/", "/usr", "/usr/lib", "/etc", "/bin", "/var", "/root")))


def write_outside_tmp(event):
    folders = ("/home", "/home/qcloud", "/run", "/run/lock", "/dev", "/opt", "/srv", "/mnt", "/var/tmp", "/var/runtime",
               "/sys", "/sys/fs/cgroup", event["folder"])
    return first_of(*(making(folder, event["mark"]) for folder in folders))


def make_device(event):
    path = os.path.join(os.environ.get("TMPDIR", "/tmp"), event["mark"])
    def device(kind, major, minor):
        os.mknod(path, kind | 0o600, os.makedev(major, minor))
        os.unlink(path)
        return "made a device"
    return first_of(lambda: device(stat.S_IFCHR, 1, 1), lambda: device(stat.S_IFBLK, 8, 0))


def open_by_handle(event):
    handle = ctypes.create_string_buffer(136)
    ctypes.memmove(handle, (128).to_bytes(4, "little"), 4)
    mount, target = ctypes.c_int(), ctypes.c_char_p(b"/usr")
    call("name_to_handle_at", -100, target, handle, ctypes.byref(mount), 0)
    folder = os.open("/usr", os.O_RDONLY)
    return got_by("open_by_handle_at", folder, handle, os.O_RDONLY)()


def follow_link(event):
    link = os.path.join(os.environ.get("TMPDIR", "/tmp"), event["mark"])
    def by(make, target):
        def way():
            make(target, link)
            try:
                return read(link)
            finally:
                os.unlink(link)
        return way
    return first_of(by(os.symlink, event["bait"]), by(os.symlink, event["db"]), by(os.link, event["bait"]),
                    by(os.link, event["db"]))


def enter_other_root(event):
    roots = ["/proc/%s/%s" % (pid, name) for pid in ("1", event["server_pid"], os.getppid()) for name in ("root", "cwd")]
    roots += ["/proc/self/root/..", "/..", "/proc/self/fd/../../../.."]
    return first_of(*(reading(root + path) for root in roots for path in (event["bait"], event["db"])))


def open_memory_devices(event):
    names = ("mem", "kmem", "port", "kmsg", "vda", "sda", "nvme0n1", "loop-control", "fuse", "kvm", "net/tun", "vhost-net")
    return first_of(*(reading("/proc/" + name) for name in ("kcore", "kmsg", "kpagecount")),
                    *(writing("/dev/" + name) for name in names))


def change_kernel_settings(event):
    names = ("kernel/core_pattern", "kernel/hostname", "kernel/modprobe", "vm/overcommit_memory", "fs/binfmt_misc/register")
    return first_of(*(writing("/proc/sys/" + name) for name in names), writing("/proc/sysrq-trigger"),
                    writing("/sys/power/state"), writing("/sys/kernel/uevent_helper"))


def escape_oom_killer(event):
    with open("/proc/self/oom_score_adj", "r+") as file:
        before = int(file.read())
        file.seek(0)
        file.write("0")
        file.flush()
    return "%d became 0" % before if before > 0 else None


def scan_descriptors(event):
    """Anything open that is not the function's own three and the event socket."""
    found = []
    for number in range(1024):
        try:
            kind = stat.S_IFMT(os.fstat(number).st_mode)
        except OSError:
            continue
        try:
            path = os.readlink("/proc/self/fd/%d" % number)
        except OSError:
            path = ""
        if number > 3 and (kind in (stat.S_IFDIR, stat.S_IFSOCK, stat.S_IFBLK) or path.startswith(event["folder"])):
            found.append("%d %s" % (number, path))
    return ", ".join(found)
