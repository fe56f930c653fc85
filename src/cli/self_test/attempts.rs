//! The table: everything hostile code tries in the self-test, what it takes for that to be harm, and the isolation level
//! that promises to prevent it.
//!
//! A name is that of a function in the Python files beside this one, or of a file of its own where the attempt is made
//! while the code is loaded. A level promises what the levels below it promise; the README's matrix has the same rows.

/// One thing that hostile code tries.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) name: &'static str,
    /// What it tries, as the rest of a sentence that begins with "it".
    pub(super) tries: &'static str,
    pub(super) group: Group,
    pub(super) proof: Proof,
    /// The lowest level that promises to hold it.
    pub(super) from: u8,
    /// Statuses the run may end with.
    pub(super) ends: &'static [u16],
    pub(super) form: Form,
    /// Takes a lot of memory, disk or time.
    pub(super) heavy: bool,
}

/// What an attempt is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Files,
    Kernel,
    Processes,
    Resources,
    Platform,
    NextRun,
    Network,
}

/// When what an attempt says it got is harm. Harm that shows from outside is harm whatever it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// Whenever it got anything.
    Word,
    /// If somebody else's secret is in it.
    Secret,
    /// Only if something is wrong outside.
    Outside,
    /// If a second run finds what the first left.
    NextRun,
}

/// How an attempt is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As one event of the function that makes most of them.
    Event,
    /// The same with a timeout of one second.
    Brief,
    /// As one event while another function listens on a port.
    BesideListener,
    /// As a function of its own, because loading it is the attempt.
    Loading,
}

const RETURNS: &[u16] = &[200];
const OUT_OF_MEMORY: &[u16] = &[434];
const TIMES_OUT: &[u16] = &[433];

const fn attempt(name: &'static str, from: u8, group: Group, proof: Proof, tries: &'static str) -> Attempt {
    Attempt { name, tries, group, proof, from, ends: RETURNS, form: Form::Event, heavy: false }
}

const fn file(name: &'static str, from: u8, tries: &'static str) -> Attempt {
    attempt(name, from, Group::Files, Proof::Word, tries)
}

const fn kernel(name: &'static str, from: u8, tries: &'static str) -> Attempt {
    attempt(name, from, Group::Kernel, Proof::Word, tries)
}

const fn process(name: &'static str, from: u8, tries: &'static str) -> Attempt {
    attempt(name, from, Group::Processes, Proof::Outside, tries)
}

const fn resource(name: &'static str, from: u8, tries: &'static str) -> Attempt {
    attempt(name, from, Group::Resources, Proof::Outside, tries)
}

const fn platform(name: &'static str, from: u8, tries: &'static str) -> Attempt {
    attempt(name, from, Group::Platform, Proof::Outside, tries)
}

const fn next_run(name: &'static str, from: u8, tries: &'static str) -> Attempt {
    attempt(name, from, Group::NextRun, Proof::NextRun, tries)
}

const fn network(name: &'static str, from: u8, tries: &'static str) -> Attempt {
    attempt(name, from, Group::Network, Proof::Word, tries)
}

impl Attempt {
    const fn ends(self, ends: &'static [u16]) -> Attempt {
        Attempt { ends, ..self }
    }

    const fn proof(self, proof: Proof) -> Attempt {
        Attempt { proof, ..self }
    }

    const fn form(self, form: Form) -> Attempt {
        Attempt { form, ..self }
    }

    const fn brief(self) -> Attempt {
        self.form(Form::Brief)
    }

    const fn loading(self) -> Attempt {
        self.form(Form::Loading)
    }

    const fn heavy(self) -> Attempt {
        Attempt { heavy: true, ..self }
    }
}

impl Group {
    /// For people.
    pub(super) fn title(self) -> &'static str {
        match self {
            Group::Files => "files",
            Group::Kernel => "kernel",
            Group::Processes => "processes",
            Group::Resources => "resources",
            Group::Platform => "platform",
            Group::NextRun => "next run",
            Group::Network => "network",
        }
    }
}

/// Every attempt, in the order they are made.
pub(super) const ATTEMPTS: &[Attempt] = &[
    file("read_database", 2, "reads the database"),
    file("read_lock_and_key", 2, "reads the lock file, and the key file beside the socket"),
    file("list_data_folder", 2, "lists the server's data folder"),
    file("read_other_code", 2, "reads another function's code, knowing where it is").proof(Proof::Secret),
    file("read_other_environment", 2, "reads the environment of other processes").proof(Proof::Secret),
    file("read_server_environment", 2, "reads the server's environment"),
    file("read_shadow", 3, "reads /etc/shadow and sudoers"),
    file("read_home", 2, "looks into home folders and their .ssh"),
    file("read_host_processes", 3, "sees the host's processes"),
    file("read_host_file", 2, "reads a file that everybody on the host may read"),
    file("write_host_file", 2, "writes to a file that everybody on the host may write"),
    file("write_own_code", 2, "changes its own code on disk"),
    file("change_modes", 3, "changes the modes of its code's and the host's files"),
    file("write_system", 2, "makes files in /, /usr, /etc and the like"),
    file("write_outside_tmp", 2, "makes files anywhere else but in /tmp"),
    file("make_device", 2, "makes device files"),
    file("open_by_handle", 2, "opens a file by its number, past the view"),
    file("follow_link", 2, "reads host files through symbolic and hard links").proof(Proof::Secret),
    file("enter_other_root", 2, "reaches the host's root through /proc"),
    file("open_memory_devices", 2, "opens the memory, kernel log and disks of the machine"),
    file("change_kernel_settings", 2, "opens core_pattern and other kernel settings for writing"),
    file("escape_oom_killer", 2, "makes others be killed first when memory is short"),
    file("scan_descriptors", 1, "looks for descriptors of the server's among its own"),
    kernel("ptrace_others", 2, "traces other processes"),
    kernel("ptrace_by_parent", 2, "has its parent trace it"),
    kernel("read_memory", 2, "reads the memory of other processes"),
    kernel("write_memory", 2, "writes to the memory of the process it was forked from"),
    kernel("take_descriptors", 2, "takes descriptors out of other processes"),
    kernel("mount_anew", 2, "mounts file systems"),
    kernel("remount_writable", 2, "makes its read-only view writable"),
    kernel("unmount_walls", 2, "unmounts its own walls"),
    kernel("change_root", 2, "changes its root"),
    kernel("new_user_namespace", 2, "becomes root of a new user namespace"),
    kernel("new_user_namespace_by_clone3", 2, "becomes root of one by a call whose flags no filter sees"),
    kernel("new_namespaces", 2, "makes other new namespaces"),
    kernel("join_namespaces", 2, "joins the namespaces of other processes"),
    kernel("use_keyrings", 2, "uses the kernel's keyrings"),
    kernel("load_bpf", 2, "uses bpf"),
    kernel("watch_performance", 2, "opens performance counters"),
    kernel("catch_page_faults", 2, "handles its own page faults (userfaultfd)"),
    kernel("use_io_uring", 2, "uses io_uring, past the filter"),
    kernel("load_modules", 2, "loads and unloads kernel modules"),
    kernel("start_other_kernel", 2, "reboots, or loads another kernel"),
    kernel("set_clock", 2, "sets the clock"),
    kernel("use_swap_and_accounting", 2, "switches swap, accounting and quotas"),
    kernel("rename_host", 2, "renames the host"),
    kernel("read_kernel_log", 2, "reads the kernel's log"),
    kernel("use_x32", 2, "calls by the numbers of the x32 ABI, past the filter"),
    kernel("use_i386", 2, "calls by the numbers of i386, past the filter"),
    kernel("become_root", 3, "becomes root"),
    kernel("raise_capabilities", 2, "takes capabilities"),
    kernel("gain_by_program", 1, "gains rights by a set-user-ID program"),
    kernel("raise_priority", 2, "takes processor time and disk before others"),
    kernel("raise_limits", 1, "raises its own limits"),
    kernel("change_server_limits", 2, "changes the server's limits"),
    kernel("slow_server_down", 3, "binds the server to one processor"),
    kernel("type_into_terminal", 2, "opens the administrator's terminal"),
    kernel("open_raw_sockets", 2, "sends and reads raw packets"),
    kernel("open_odd_sockets", 2, "opens sockets of rare families (vsock, AF_ALG and the like)"),
    kernel("change_routes", 2, "changes network devices"),
    process("stay_after_return", 1, "leaves a process behind when it returns"),
    process("stay_after_timeout", 1, "leaves one behind when it is timed out").brief().ends(TIMES_OUT),
    process("stay_after_crash", 1, "leaves one behind when it crashes").ends(&[439]),
    process("stay_after_exit", 1, "leaves one behind when it exits").ends(&[439]),
    process("ignore_deadline", 1, "ignores signals and works on").brief().ends(TIMES_OUT),
    process("stop_itself", 1, "stops itself").brief().ends(TIMES_OUT),
    process("hold_output", 1, "has a child keep its output open"),
    process("kill_everything", 3, "signals everything it can see").proof(Proof::Word),
    process("kill_server", 3, "kills the server").proof(Proof::Word),
    process("kill_supervisor", 3, "kills what stands above it, and leaves a process"),
    process("stop_supervisor", 3, "stops what stands above it, and leaves a process"),
    resource("fork_bomb", 3, "forks for ever").ends(&[200, 434, 433]),
    resource("thread_bomb", 1, "starts threads for ever").ends(&[200, 434]),
    resource("memory_bomb", 1, "takes memory for ever").ends(OUT_OF_MEMORY),
    resource("memory_bomb_of_children", 1, "takes memory in many processes").ends(OUT_OF_MEMORY),
    resource("memory_bomb_of_files", 4, "takes memory in nameless files")
        .proof(Proof::Word)
        .ends(&[200, 434])
        .heavy(),
    resource("fill_tmp", 3, "fills /tmp beyond 512 MB").proof(Proof::Word).ends(&[200, 434]).heavy(),
    resource("fill_shm", 3, "fills /dev/shm beyond 512 MB").proof(Proof::Word).ends(&[200, 434]).heavy(),
    resource("fill_inodes", 3, "makes 66,000 files").proof(Proof::Word).ends(&[200, 434]).heavy(),
    resource("huge_file", 1, "makes a file of 1 TB").proof(Proof::Word),
    resource("open_descriptors", 1, "opens more than 1,024 files").proof(Proof::Word),
    resource("flood_output", 1, "prints without end (1 GB)").ends(&[200, 433]),
    resource("long_line", 1, "prints a line of 100 MB").ends(&[200, 433]),
    resource("line_without_end", 1, "prints a line without end"),
    resource("empty_lines", 1, "prints millions of empty lines").ends(&[200, 433]),
    resource("large_answer", 1, "returns more than 6 MB").ends(&[407]),
    resource("deep_answer", 1, "returns a value nested 100,000 deep").ends(&[430, 439]),
    resource("endless_recursion", 1, "recurses without end").ends(&[430, 434, 439]),
    resource("load_flood", 1, "takes too much memory while it loads").loading().ends(OUT_OF_MEMORY),
    resource("load_forever", 1, "never ends loading").loading().ends(&[450]),
    platform("write_garbage", 1, "writes garbage to the platform's socket").ends(&[430]),
    platform("close_socket", 1, "closes the platform's socket").ends(&[430]),
    platform("answer_twice", 1, "answers twice"),
    platform("answer_for_another", 1, "answers for another run").ends(&[430]),
    platform("lie_about_length", 1, "announces an answer of 4 GB").ends(&[407]),
    platform("half_a_frame", 1, "sends half an answer").brief().ends(TIMES_OUT),
    platform("flood_socket", 1, "floods the platform's socket").ends(&[407, 430]),
    platform("forged_crash", 1, "says that it exited with what is no number").ends(&[430, 439]),
    platform("pass_descriptors", 1, "passes 4,000 descriptors to the server").ends(&[200, 430]),
    platform("load_forger", 1, "reports, while it loads, that the platform has failed")
        .loading()
        .ends(&[430]),
    platform("load_impostor", 1, "takes its zygote's place and names the server as what is to be killed")
        .loading()
        .ends(&[200, 430, 433, 439, 500]),
    platform("load_daemon", 1, "starts a process while it loads, out of its parent's sight").loading(),
    next_run("leave_in_tmp", 1, "leaves a file in its temporary folder"),
    next_run("leave_in_shm", 2, "leaves a file in /dev/shm"),
    next_run("leave_in_sysv_memory", 2, "leaves shared memory of System V"),
    next_run("leave_a_lock", 1, "leaves its own code's file locked"),
    next_run("leave_an_abstract_socket", 1, "leaves somebody listening on an abstract socket"),
    next_run("leave_in_globals", 1, "leaves a value in a global"),
    next_run("leave_changed_code", 1, "leaves the interpreter changed"),
    next_run("load_shared", 1, "shares memory and a semaphore made while it loads").loading(),
    network("use_api_without_key", 1, "uses the management API without a key"),
    network("use_api_with_guessed_key", 1, "uses the management API with guessed keys"),
    network("use_socket_file", 2, "uses the management API through the socket file"),
    network("reach_server_port", 5, "connects to the server's port"),
    network("reach_host_port", 5, "connects to another service of the host"),
    network("reach_instance_port", 5, "connects to a port of another function's run")
        .form(Form::BesideListener),
    network("reach_abstract_socket", 5, "connects to an abstract socket of the host"),
    network("reach_link_local", 5, "finds a way to link-local addresses, where clouds keep keys"),
];
