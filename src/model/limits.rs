//! Every number we promise, with its source. "Contract" is the SCF platform contract; D numbers are this project's
//! own decisions.

/// Default time a function may run, seconds (contract 8.2).
pub const TIMEOUT_S_DEFAULT: u32 = 3;
/// Shortest timeout, seconds (contract 8.2).
pub const TIMEOUT_S_MIN: u32 = 1;
/// Longest timeout, seconds (contract 8.2).
pub const TIMEOUT_S_MAX: u32 = 900;

/// Default time to load the code, seconds (contract 12.1).
pub const INIT_TIMEOUT_S_DEFAULT: u32 = 65;
/// Shortest init timeout, seconds (contract 12.1).
pub const INIT_TIMEOUT_S_MIN: u32 = 1;
/// Longest init timeout, seconds (contract 8.2).
pub const INIT_TIMEOUT_S_MAX: u32 = 300;

/// Default memory, MB (contract 8.2).
pub const MEMORY_MB_DEFAULT: u32 = 128;
/// Smallest memory, MB; the next is 128 (contract 8.2).
pub const MEMORY_MB_MIN: u32 = 64;
/// Largest memory, MB (contract 8.2).
pub const MEMORY_MB_MAX: u32 = 3072;
/// From 128 MB on, memory grows in steps of this many MB (contract 8.2).
pub const MEMORY_MB_STEP: u32 = 128;

/// Largest event of a synchronous invocation, bytes (contract 8.3; status 406 beyond).
pub const EVENT_BYTES_MAX: usize = 6 * 1024 * 1024;
/// Largest event of an asynchronous invocation, bytes (contract 8.3; status 406 beyond).
pub const ASYNC_EVENT_BYTES_MAX: usize = 128 * 1024;
/// Largest return value, bytes of its JSON (contract 8.3; status 407 beyond).
pub const ANSWER_BYTES_MAX: usize = 6 * 1024 * 1024;

/// How often an event whose run ended in an execution error is tried again, unless told otherwise (contract 4.4, 6.10).
pub const RETRY_NUM_DEFAULT: u32 = 2;
/// Most retries after execution errors (contract 6.10).
pub const RETRY_NUM_MAX: u32 = 2;
/// Seconds from the end of an attempt to the next one (contract 4.4, newest column).
pub const RETRY_INTERVAL_S: u32 = 60;
/// How old an event may get before it is given up, unless told otherwise, seconds (contract 4.4, 6.10).
pub const MSG_TTL_S_DEFAULT: u32 = 21_600;
/// Shortest age at which an event may be given up, seconds (contract 6.10).
pub const MSG_TTL_S_MIN: u32 = 60;
/// Longest age at which an event may be given up, seconds (contract 6.10).
pub const MSG_TTL_S_MAX: u32 = 21_600;
/// Server deaths while an event's attempt ran after which the event is held for their cause.
pub const DEATHS_MAX: u32 = 3;
/// Events that may wait at once, unless told otherwise (contract 4.4).
pub const QUEUE_EVENTS_DEFAULT: u32 = 100_000;
/// Bytes of the events that may wait at once, unless told otherwise.
pub const QUEUE_BYTES_DEFAULT: u64 = 1024 * 1024 * 1024;
/// How long a caller's idempotency key is remembered, seconds.
pub const IDEMPOTENCY_S: u32 = 24 * 3600;
/// Longest idempotency key, characters.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;

/// Shortest time for which a function's records and logs may be kept, seconds.
pub const KEEP_S_MIN: u32 = 60;
/// Longest time for which a function's records and logs may be kept, seconds: ten years.
pub const KEEP_S_MAX: u32 = 315_360_000;

/// Largest code archive, bytes (contract 12.1: zips of 50 MB are accepted).
pub const PACKAGE_BYTES_MAX: usize = 50 * 1024 * 1024;
/// Largest code once unpacked, bytes (contract 1.2).
pub const UNPACKED_BYTES_MAX: u64 = 500 * 1024 * 1024;
/// Most entries in a code archive (security: bounds the work of one upload).
pub const PACKAGE_ENTRIES_MAX: usize = 10_000;
/// Longest path of an entry in a code archive, bytes (security: with the cache folder before it, it stays a path).
pub const PACKAGE_NAME_BYTES_MAX: usize = 1024;
/// Largest ratio of unpacked to packed bytes of one entry above 1 MiB (security: zip bombs).
pub const PACKAGE_RATIO_MAX: u64 = 100;

/// All environment variables of a function together, bytes of keys and values (contract 8.1).
pub const ENV_BYTES_MAX: usize = 4096;
/// Longest description, characters (contract 8.1).
pub const DESCRIPTION_CHARS_MAX: usize = 1000;
/// Longest function name (contract 6.4).
pub const NAME_CHARS_MAX: usize = 60;
/// Shortest function name (contract 6.4).
pub const NAME_CHARS_MIN: usize = 2;
/// Namespace and function name together (contract 6.4).
pub const NAMES_CHARS_MAX: usize = 118;

/// Longest alias name, characters (contract 12.1).
pub const ALIAS_CHARS_MAX: usize = 64;
/// Most aliases of one function (security: a list that is read whole).
pub const ALIASES_MAX: u32 = 100;
/// Most published versions of one function (contract 8.1).
pub const VERSIONS_MAX: u32 = 1000;
/// Largest routing key of an invocation, bytes of JSON (contract 6.2).
pub const ROUTING_KEY_BYTES_MAX: usize = 1024;
/// Longest layer name, characters (contract 6.12).
pub const LAYER_CHARS_MAX: usize = 64;
/// Most layers of one version (contract 8.1).
pub const LAYERS_PER_VERSION_MAX: usize = 5;
/// Most runtimes a version of a layer is made for (contract 6.12 gives no number; there are not many more names).
pub const LAYER_RUNTIMES_MAX: usize = 50;
/// Most versions of one layer (contract 8.1).
pub const LAYER_VERSIONS_MAX: u32 = 200;
/// Longest text kept for the cloud's own settings of a function, bytes of JSON (security: it is in every listing).
pub const ECHO_BYTES_MAX: usize = 16 * 1024;
/// Largest file of a handler that is shown, bytes (contract 8.3).
pub const ENTRY_FILE_BYTES_MAX: usize = 1024 * 1024;
/// Largest text that a timer hands over, bytes (contract 6.8).
pub const CUSTOM_ARGUMENT_BYTES_MAX: usize = 4096;
/// Most triggers of one kind of a function (contract 8.1).
pub const TRIGGERS_PER_KIND_MAX: u32 = 10;
/// Longest name of a bucket without the application's id, characters (that of the cloud's object storage).
pub const BUCKET_CHARS_MAX: usize = 50;
/// Longest key of an object, bytes (that of the cloud's object storage).
pub const OBJECT_KEY_BYTES_MAX: usize = 850;
/// Largest object or part that comes in one request, bytes (that of the cloud's object storage).
pub const OBJECT_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;
/// Most bytes of what whoever uploads an object says of it in `x-cos-meta-*` headers (that of the cloud's object storage).
pub const OBJECT_META_BYTES_MAX: usize = 2048;
/// Highest number of a part of an upload (that of the cloud's object storage).
pub const PARTS_MAX: u32 = 10_000;
/// Smallest part of an upload but the last, bytes (triggers 2.4).
pub const PART_BYTES_MIN: u64 = 1024 * 1024;
/// Most objects of one list, one deletion, or one notification (triggers 2.4).
pub const OBJECTS_PER_REQUEST_MAX: u32 = 1000;
/// Most Instances of one version kept parked by provisioned concurrency (each costs about a megabyte).
pub const PROVISIONED_MAX: u32 = 64;

/// Stored bytes of one log line (contract 5.1, capture rules).
pub const LOG_LINE_BYTES_MAX: usize = 8 * 1024;
/// Stored bytes of log one run may add in [`LOG_WINDOW_S`] seconds (contract 5.2).
pub const LOG_WINDOW_BYTES_MAX: usize = 1024 * 1024;
/// Stored lines one run may add in [`LOG_WINDOW_S`] seconds (contract 5.2).
pub const LOG_WINDOW_LINES_MAX: usize = 5000;
/// Length of the window the two caps above apply to, seconds (contract 5.2).
pub const LOG_WINDOW_S: u64 = 5;
/// Bytes of a return value kept in the Response log line (contract 8.3).
pub const RESPONSE_LOG_BYTES_MAX: usize = 8 * 1024;

/// Size of a run's private /tmp, bytes (contract 2.6).
pub const TMP_BYTES: u64 = 512 * 1024 * 1024;
/// Open files of a run (contract 2.6).
pub const OPEN_FILES_MAX: u64 = 1024;
/// Processes and threads of a run (contract 2.6).
pub const PROCESSES_MAX: u64 = 1024;

/// Instances per core that may run at once unless told otherwise, each of [`MEMORY_MB_DEFAULT`] (D17, D26).
pub const INSTANCES_PER_CORE: u32 = 16;

/// Longest name of a key, characters (it is shown in lists).
pub const KEY_NAME_CHARS_MAX: usize = 60;

/// Rows of a list unless asked otherwise.
pub const PAGE_DEFAULT: u32 = 50;
/// Most rows of one page of a list.
pub const PAGE_MAX: u32 = 1000;

/// Longest statement of SQL, bytes.
pub const SQL_BYTES_MAX: usize = 100_000;
/// Largest text or blob that a statement of SQL handles, bytes.
pub const SQL_VALUE_BYTES_MAX: usize = 1_000_000;
/// Rows of a statement's answer unless asked otherwise.
pub const SQL_ROWS_DEFAULT: u32 = 1000;
/// Most rows of a statement's answer.
pub const SQL_ROWS_MAX: u32 = 10_000;
/// Most bytes of the values in a statement's answer.
pub const SQL_ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Longest time a statement may compute, seconds.
pub const SQL_TIME_S: u64 = 2;
/// Most memory a statement may take, MiB.
pub const SQL_MEMORY_MIB: u64 = 256;
