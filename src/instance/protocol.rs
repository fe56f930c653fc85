//! What passes between us and a child: the launch order, the zygote's report, orders to it, event and answer frames.
//!
//! Everything here is pure: bytes to values and back. Numbers are little-endian, as every host we run on. The other ends
//! are `launch.rs` (our own code in the child) and each runtime's bootstrap; a change here is a change there.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::base::json;
use crate::instance::runtime::{self, Kit};
use crate::model::invocation::Outcome;
use crate::model::limits;
use crate::model::runtime::{Language, Runtime};

/// The one descriptor number a bootstrap knows: a zygote's control socket, or an Instance's event socket.
pub(crate) const EVENT_FD: i32 = 3;

/// The number under which a zygote holds the init program it starts for each Instance.
pub(crate) const INIT_FD: i32 = 4;

/// Largest message on a control socket, bytes; well below the kernel's default for one datagram.
pub(crate) const CONTROL_BYTES_MAX: usize = 160 * 1024;

/// How to start one process tree; the first message on its control socket, along with the leash, for a single the
/// event socket, what [`Reach`] says, and what it enters its control groups by.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LaunchOrder {
    /// What the process is to be.
    pub(crate) role: Role,
    /// The runtime's name; empty where no code of a user's will run.
    pub(crate) runtime: String,
    /// What the launcher shows for its failures to be believed. The interpreter never hears of it, and the launcher's
    /// memory is gone before any user code runs.
    pub(crate) token: String,
    /// Which walls this host gives.
    pub(crate) walls: Walls,
    /// What it reaches of the network.
    pub(crate) reach: Reach,
    /// The user to become, where the server is root; also the group.
    pub(crate) uid: Option<u32>,
    /// The unpacked code on the host.
    pub(crate) package: PathBuf,
    /// Its layers there, all in one folder, if it has any.
    pub(crate) layers: Option<PathBuf>,
    /// What to run.
    pub(crate) interpreter: Interpreter,
    /// The environment, whole.
    pub(crate) env: Vec<(String, String)>,
    /// Memory of one run, MB.
    pub(crate) memory_mb: u32,
    /// The tree's own folder for temporary files where /tmp cannot be private.
    pub(crate) tmp: Option<PathBuf>,
    /// What the bootstrap needs to know of the function: handler and context.
    pub(crate) function: serde_json::Value,
}

impl LaunchOrder {
    /// What of ours its interpreter is started with, where there will be one.
    pub(crate) fn kit(&self) -> Option<Kit> {
        self.language().map(runtime::kit)
    }

    /// The options its interpreter is started with.
    pub(crate) fn options(&self) -> Vec<String> {
        let more = self.language().map(|language| runtime::options(language, self.role, self.memory_mb));
        self.interpreter.args.iter().cloned().chain(more.unwrap_or_default()).collect()
    }

    /// Bytes its interpreter reserves beyond what it uses.
    pub(crate) fn reserved_bytes(&self) -> u64 {
        self.language().map_or(0, runtime::reserved_bytes)
    }

    /// Of the code that will run, if any will.
    pub(crate) fn language(&self) -> Option<Language> {
        Runtime::parse(&self.runtime).ok().map(|runtime| runtime.language)
    }

    /// For a process of ours that runs no code of a user's, started from `program`, where it starts any.
    pub(crate) fn without_code(
        role: Role,
        walls: Walls,
        reach: Reach,
        uid: Option<u32>,
        program: PathBuf,
    ) -> LaunchOrder {
        let interpreter =
            Interpreter { program, args: Vec::new(), prefix: PathBuf::from("/usr"), packages: Vec::new() };
        LaunchOrder {
            role,
            runtime: String::new(),
            token: String::new(),
            walls,
            reach,
            uid,
            package: PathBuf::from("/"),
            layers: None,
            interpreter,
            env: Vec::new(),
            memory_mb: limits::MEMORY_MB_MIN,
            tmp: None,
            function: serde_json::Value::Null,
        }
    }
}

/// What a launched process is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Role {
    /// Loads the code and forks Instances.
    Zygote,
    /// Loads the code and is the one Instance itself.
    Single,
    /// Builds the walls, says which stand, and ends.
    Probe,
    /// Builds a network for others to join, and keeps it: no code of a user's. The interpreter is `pasta`.
    Router,
}

/// What a tree reaches of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reach {
    /// What the server does.
    Host,
    /// A loopback of its own.
    Own,
    /// The network whose namespace comes with the order, last; where `user`, with the user namespace that owns it.
    Joined { user: bool },
}

impl Reach {
    /// How many descriptors of namespaces come with the order.
    pub(crate) fn fd_count(self) -> usize {
        match self {
            Reach::Host | Reach::Own => 0,
            Reach::Joined { user } => 1 + usize::from(user),
        }
    }
}

/// Which walls stand around an Instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Walls {
    /// User, mount, pid, ipc and uts namespaces with a root view of our making.
    pub(crate) namespaces: bool,
    /// A /proc of the own pid namespace can be mounted; else there is none.
    pub(crate) fresh_proc: bool,
    /// Landlock's version; 0 for none.
    pub(crate) landlock_abi: i32,
    /// A system-call filter.
    pub(crate) seccomp: bool,
    /// Control groups to enter, one in each hierarchy of the host; 0 where there are none.
    pub(crate) groups: usize,
}

/// An interpreter on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Interpreter {
    /// The program itself, no link and no version manager's stand-in.
    pub(crate) program: PathBuf,
    /// Options before the bootstrap's path.
    pub(crate) args: Vec<String>,
    /// The folder it is installed in; must be visible to it.
    pub(crate) prefix: PathBuf,
    /// Folders of installed packages, on purpose the last on the search path.
    pub(crate) packages: Vec<PathBuf>,
}

/// A message on the control socket from the child.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// `Z`: a zygote is ready, or a network, whose namespaces come along. `F`: the code is loaded but must not be forked;
    /// `text` says why. `P`: a probe's walls. `L`: the launcher failed. Else the kind of a failure frame: see [`outcome`].
    pub(crate) kind: String,
    /// The reason or trace.
    pub(crate) text: String,
    /// How long the user's module took to load, microseconds.
    #[serde(default)]
    pub(crate) load_us: u64,
    /// The order's, in a report of the launcher.
    #[serde(default)]
    pub(crate) token: String,
}

/// The order to fork an Instance; these descriptors travel along: event, stdout, stderr, without
/// namespaces its supervisor's leash, and what it enters its control groups by. Tells of `answered` as [`order_answered`] does.
pub(crate) fn order_new(number: u64, answered: &[u64]) -> Vec<u8> {
    order_with(b'N', number, answered)
}

/// Tells that Instances have answered and were killed, so that nothing but their processes has to go if they left nothing.
pub(crate) fn order_answered(answered: &[u64]) -> Vec<u8> {
    order_with(b'E', 0, answered)
}

/// How many numbers one order may carry.
pub(crate) const NUMBERS_MAX: usize = 256;

/// The order to wait for an Instance's process and say how it ended.
pub(crate) fn order_wait(number: u64) -> [u8; 9] {
    order(b'W', number)
}

/// The order to reap what has died.
pub(crate) fn order_reap() -> [u8; 9] {
    order(b'R', 0)
}

/// The order that each Instance from now on copies some ranges of its memory and maps others before its event comes: where each
/// begins, and in the twelve bits that are zero there, how many times 4 KiB it has.
pub(crate) fn order_prefault(copied: &[u64], mapped: &[u64]) -> Vec<u8> {
    order_with(b'P', copied.len() as u64, &[copied, mapped].concat())
}

fn order_with(kind: u8, number: u64, numbers: &[u64]) -> Vec<u8> {
    let mut bytes = order(kind, number).to_vec();
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    bytes
}

fn order(kind: u8, number: u64) -> [u8; 9] {
    let mut bytes = [kind; 9];
    bytes[1..].copy_from_slice(&number.to_le_bytes());
    bytes
}

/// The wait status in the answer to [`order_wait`], if these bytes are the one for `number`.
pub(crate) fn waited(bytes: &[u8], number: u64) -> Option<i32> {
    let (head, status) = bytes.split_at_checked(9)?;
    (head == order(b'W', number)).then(|| status.try_into().ok().map(i32::from_le_bytes))?
}

/// The exit code a shell would show for a wait status.
pub(crate) fn exit_code(status: i32) -> i32 {
    match status & 0x7f {
        0 => (status >> 8) & 0xff,
        signal => 128 + signal,
    }
}

/// What a process that is kept for many events says once nothing of the last one is left.
pub(crate) const CLEANED: u8 = b'C';

/// The head of an event frame; request id and event follow.
pub(crate) fn event_head(request_id: &str, event: &[u8]) -> Vec<u8> {
    let length =
        |bytes: usize| u32::try_from(bytes).expect("events are bounded far below 4 GiB").to_le_bytes();
    let mut head = Vec::with_capacity(8 + request_id.len() + event.len());
    head.extend_from_slice(&length(request_id.len()));
    head.extend_from_slice(&length(event.len()));
    head.extend_from_slice(request_id.as_bytes());
    head
}

/// Longest text of an answer that is no value, bytes: the bootstraps cut traces at 16,000 characters.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Collects the bytes an Instance sends after its event: notices of one byte, then one answer frame.
#[derive(Debug, Default)]
pub(crate) struct AnswerReader {
    bytes: Vec<u8>,
    /// What came behind the answer.
    rest: Vec<u8>,
    peak_kb: Option<u64>,
}

/// What an Instance has said so far.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Nothing whole yet.
    Nothing,
    /// One whole frame: kind and payload.
    Frame(u8, Vec<u8>),
    /// It wants to send more than an answer may hold.
    TooLarge,
    /// Bytes that are no frame.
    Nonsense,
}

/// Bytes before an answer's payload: kind, length, and the most memory that the process ever had.
const FRAME_HEAD: usize = 9;

impl AnswerReader {
    /// Adds what was read.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether more has come than an answer may hold, so that reading on is of no use.
    pub(crate) fn is_over(&self) -> bool {
        self.bytes.len() > FRAME_HEAD + limits::ANSWER_BYTES_MAX
    }

    /// Takes a leading one-byte notice, if that is what came first.
    pub(crate) fn take_notice(&mut self, notice: u8) -> bool {
        let there = self.bytes.first() == Some(&notice);
        if there {
            self.bytes.remove(0);
        }
        there
    }

    /// What came behind the answer, which is none of it.
    pub(crate) fn take_rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.rest)
    }

    /// The most resident KiB that the process ever had, which is its own word, once it has answered.
    pub(crate) fn told_peak_kb(&self) -> Option<u64> {
        self.peak_kb
    }

    /// What has come so far. Traces may be a little larger than values are allowed to be, never much.
    pub(crate) fn said(&mut self) -> Said {
        if self.bytes.first().is_some_and(|kind| !b"REMHX".contains(kind)) {
            return Said::Nonsense;
        }
        let Some(head) = self.bytes.first_chunk::<FRAME_HEAD>() else {
            return Said::Nothing;
        };
        let [kind, a, b, c, d, peak_kb @ ..] = *head;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length > limits::ANSWER_BYTES_MAX {
            return Said::TooLarge;
        }
        if self.bytes.len() < FRAME_HEAD + length {
            return Said::Nothing;
        }
        self.peak_kb = Some(u32::from_le_bytes(peak_kb).into());
        self.rest = self.bytes.split_off(FRAME_HEAD + length);
        Said::Frame(kind, self.bytes.split_off(FRAME_HEAD))
    }
}

/// The outcome an answer frame or a zygote's report stands for; `None` for a kind that is neither. What is told as the
/// function's value is one: two processes may have written to one socket, or code that wanted to.
pub(crate) fn outcome(kind: u8, payload: Vec<u8>, memory_mb: u32) -> Option<Outcome> {
    let text = |payload: Vec<u8>| {
        String::from_utf8_lossy(&payload[..payload.len().min(TEXT_BYTES_MAX)]).into_owned()
    };
    Some(match kind {
        b'R' => match json::check_any_depth(&payload) {
            Ok(()) => Outcome::Returned(payload),
            Err(why) => Outcome::Raised { trace: format!("the function's answer is not JSON: {why}") },
        },
        b'E' => Outcome::Raised { trace: text(payload) },
        b'M' => Outcome::OutOfMemory { memory_mb, trace: text(payload) },
        b'H' => Outcome::HandlerNotFound(text(payload)),
        b'X' => Outcome::Exited { code: text(payload).parse().unwrap_or(255) },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
        [&[kind], &length[..], &9000_u32.to_le_bytes(), payload].concat()
    }

    #[test]
    fn a_frame_is_whole_only_with_its_last_byte() {
        let bytes = frame(b'R', b"{\"a\":1}");
        for cut in 0..bytes.len() {
            let mut reader = AnswerReader::default();
            reader.push(&bytes[..cut]);
            assert_eq!((reader.said(), reader.told_peak_kb()), (Said::Nothing, None), "{cut}");
            reader.push(&bytes[cut..]);
            assert_eq!(reader.said(), Said::Frame(b'R', b"{\"a\":1}".to_vec()), "{cut}");
            assert_eq!(reader.told_peak_kb(), Some(9000));
        }
    }

    #[test]
    fn what_follows_the_first_answer_is_no_part_of_it() {
        let mut reader = AnswerReader::default();
        reader.push(&[frame(b'R', b"1"), frame(b'R', b"2")].concat());
        assert_eq!(reader.said(), Said::Frame(b'R', b"1".to_vec()));
        assert_eq!(reader.take_rest(), frame(b'R', b"2"));
    }

    #[test]
    fn a_hostile_length_or_kind_allocates_nothing() {
        let mut reader = AnswerReader::default();
        reader.push(&[b'R', 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        assert_eq!(reader.said(), Said::TooLarge);
        let mut reader = AnswerReader::default();
        reader.push(b"GET");
        assert_eq!(reader.said(), Said::Nonsense);
    }

    #[test]
    fn an_answer_that_is_no_json_is_no_value() {
        assert_eq!(outcome(b'R', b"null".to_vec(), 64), Some(Outcome::Returned(b"null".to_vec())));
        for bytes in [&b""[..], b"}{", b"[1]R\x01\0\0\0\0\0\0\0", b"\"\xff\""] {
            let Some(Outcome::Raised { trace }) = outcome(b'R', bytes.to_vec(), 64) else {
                panic!("{bytes:?}")
            };
            assert!(trace.starts_with("the function's answer is not JSON"), "{trace}");
        }
    }

    #[test]
    fn a_forged_text_is_cut() {
        let text = vec![b'x'; limits::ANSWER_BYTES_MAX];
        let Some(Outcome::HandlerNotFound(text)) = outcome(b'H', text, 64) else { panic!() };
        assert_eq!(text.len(), TEXT_BYTES_MAX);
    }

    #[test]
    fn notices_come_before_the_answer() {
        let mut reader = AnswerReader::default();
        reader.push(b"K");
        assert!(!reader.take_notice(b'P'));
        assert!(reader.take_notice(b'K'));
        assert_eq!(reader.said(), Said::Nothing);
    }

    #[test]
    fn wait_answers_are_matched_by_number() {
        let mut bytes = order_wait(7).to_vec();
        bytes.extend_from_slice(&0x0300i32.to_le_bytes());
        assert_eq!(waited(&bytes, 7).map(exit_code), Some(3));
        assert_eq!(waited(&bytes, 8), None);
        assert_eq!(waited(&bytes[..9], 7), None);
        assert_eq!(exit_code(9), 137);
    }
}
