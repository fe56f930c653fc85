//! Request smuggling: bytes that one reader takes for one request and another for two.
//!
//! Every attempt carries a second request, [`SMUGGLED`], where a lax reader would begin to read again. By RFC 9112 read
//! strictly an attempt is either no request, and is refused and its connection closed, or one request whose body holds
//! the second one. The attempts are products of lists: each way to spell a header wrongly, in each kind of contradiction.

use std::sync::atomic::Ordering;

use crate::echo::Front;

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";

/// Lines that some reader takes for `Transfer-Encoding: chunked`, and a strict one for an error wherever they stand.
const CODINGS_MALFORMED: &[&str] = &[
    "Transfer-Encoding : chunked",
    "Transfer-Encoding\t: chunked",
    "Transfer-Encoding\u{b}: chunked",
    "Transfer-Encoding\0: chunked",
    "Transfer-Encoding;: chunked",
    "Transfer-Encoding chunked",
    " Transfer-Encoding: chunked",
    "\u{feff}Transfer-Encoding: chunked",
    "Transfer-\u{ff25}ncoding: chunked",
    "Transfer-Encoding: \u{b}chunked",
    "Transfer-Encoding: chunked\u{b}",
    "Transfer-Encoding: chunked\0",
    "Transfer-Encoding: \u{a0}chunked",
    "Transfer-Encoding: chun\u{212a}ed",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: 'chunked'",
    "Transfer-Encoding: [chunked]",
    "Transfer-Encoding: chunked;q=1",
    "Transfer-Encoding: chunked;",
    "Transfer-Encoding: chunked,",
    "Transfer-Encoding: ,chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: chunked chunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunkedx",
    "Transfer-Encoding: chunke",
    "Transfer-Encoding:",
    "Transfer-Encoding:\r\n chunked",
    "Transfer-Encoding: chunked\r\n\t",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
    "X: y\r\n\tTransfer-Encoding: chunked",
    "X: y\nTransfer-Encoding: chunked",
    "X: y\rTransfer-Encoding: chunked",
    "X: y\r\r\nTransfer-Encoding: chunked",
    "X: y\n\r\nTransfer-Encoding: chunked",
];

/// Spellings that mean it: only with a length beside them they are an error.
const CODINGS_SOUND: &[&str] = &[
    "Transfer-Encoding: chunked",
    "TRANSFER-ENCODING: CHUNKED",
    "transfer-encoding: cHuNkEd",
    "Transfer-Encoding:chunked",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding: \t chunked \t",
];

/// Lines that are other headers, whatever they look like.
const CODINGS_OF_OTHER_NAMES: &[&str] = &[
    "Transfer_Encoding: chunked",
    "X-Transfer-Encoding: chunked",
    "Transfer-Encodin: chunked",
    "Transfer--Encoding: chunked",
    "Transfer.Encoding: chunked",
    "Content-Encoding: chunked",
    "TE: chunked",
    "Connection: Transfer-Encoding",
    "Connection: Content-Length",
    "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings",
    "Expect: 100-continue",
];

/// Lines that some reader takes for `Content-Length: N` and another for none, or for another number.
const LENGTHS_MALFORMED: &[&str] = &[
    "Content-Length : N",
    "Content-Length\t: N",
    "Content-Length\0: N",
    " Content-Length: N",
    "Content-Length:\r\n N",
    "Content-Length: N\r\n ",
    "Content-Length:",
    "Content-Length: +N",
    "Content-Length: -N",
    "Content-Length: -0",
    "Content-Length: 0xN",
    "Content-Length: N.0",
    "Content-Length: Ne0",
    "Content-Length: N N",
    "Content-Length: N,N",
    "Content-Length: N, N",
    "Content-Length: 0, N",
    "Content-Length: N, 0",
    "Content-Length: N;",
    "Content-Length: \"N\"",
    "Content-Length: N\0",
    "Content-Length: N\u{b}",
    "Content-Length: \u{ff13}\u{ff15}",
    "Content-Length: 18446744073709551651",
    "Content-Length: 99999999999999999999999999999999",
    "Content-Length: N\r\nContent-Length: N",
    "Content-Length: N\r\nContent-Length: 0",
    "Content-Length: 0\r\nContent-Length: N",
    "Content-Length: N\r\ncontent-length: N",
    "Content-Length: 0\nContent-Length: N",
    "Content-Length: 0\rContent-Length: N",
];

/// Chunked bodies that end for some reader and are malformed for a strict one.
const CHUNKS_MALFORMED: &[&str] = &[
    "0\n\n",
    "0\r\n\n",
    "0\n\r\n",
    "0\r\r\n\r\n",
    "\r\n0\r\n\r\n",
    "0x0\r\n\r\n",
    "+0\r\n\r\n",
    "-0\r\n\r\n",
    " 0\r\n\r\n",
    "0 \r\n\r\n",
    "0\t\r\n\r\n",
    "0,0\r\n\r\n",
    "0\0\r\n\r\n",
    "\u{ff10}\r\n\r\n",
    ";x\r\n\r\n",
    "0;x\n\r\n",
    "0;x\0\r\n\r\n",
    "0;x\r\r\n\r\n",
    "0 ;x\r\n\r\n",
    "10000000000000000\r\n\r\n",
    "100000000000000000000000000000000\r\n\r\n",
    "5\r\nhello0\r\n\r\n",
    "5\r\nhello\n0\r\n\r\n",
    "5\r\nhello\r0\r\n\r\n",
    "5\r\nhelloXX0\r\n\r\n",
    "4\r\nhello\r\n0\r\n\r\n",
    "6\r\nhello\r\n0\r\n\r\n",
    "0\r\nX: y\n\r\n",
    "0\r\nX: y\0\r\n\r\n",
    "0\r\nX: y\r\r\n\r\n",
];

/// Starts of a request that end for some reader where a strict one sees an error.
const HEADS_MALFORMED: &[&str] = &[
    "POST /outer HTTP/1.1\r\nHost: h\n\n",
    "POST /outer HTTP/1.1\r\nHost: h\r\n\n",
    "POST /outer HTTP/1.1\r\nHost: h\n\r\n",
    "POST /outer HTTP/1.1\nHost: h\r\n\r\n",
    "POST /outer HTTP/1.1\r\nHost: h\r\r\n\r\n",
    "POST /outer HTTP/1.1\r\nHost: h\r\n\0\r\n\r\n",
    "POST /outer HTTP/1.1\r\n \r\nHost: h\r\n\r\n",
    "POST /outer HTTP/1.1 \r\nHost: h\r\n\r\n",
    "POST /outer  HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST /outer\u{b}HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST /outer HTTP/1.1\0\r\nHost: h\r\n\r\n",
    "POST /outer HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
    "POST /outer\r\n\r\n",
    "POST /outer HTTP/0.9\r\nHost: h\r\n\r\n",
    "POST /outer HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
];

/// What an attempt is by a strict reading.
#[derive(Clone, Debug)]
enum Reading {
    Refused,
    /// One request with this body.
    One(String),
}

type Attempt = (String, Reading);

fn outer(headers: &str, body: &str) -> String {
    format!("POST /outer HTTP/1.1\r\nHost: h\r\n{headers}\r\n\r\n{body}")
}

/// The length says that all is one body; the coding, that it ends at once.
fn lengths_against_codings() -> impl Iterator<Item = Attempt> {
    let body = format!("0\r\n\r\n{SMUGGLED}");
    let contradicting = [CODINGS_MALFORMED, CODINGS_SOUND].concat().into_iter();
    let with = move |coding: &str, before: bool| {
        let length = format!("Content-Length: {}", body.len());
        let headers = if before { format!("{coding}\r\n{length}") } else { format!("{length}\r\n{coding}") };
        (outer(&headers, &body), body.clone())
    };
    let others = CODINGS_OF_OTHER_NAMES.iter();
    let sound = with.clone();
    contradicting
        .flat_map(move |coding| [true, false].map(|before| (with(coding, before).0, Reading::Refused)))
        .chain(others.map(move |coding| {
            let (request, body) = sound(coding, true);
            (request, Reading::One(body))
        }))
}

/// The coding says that all is one body; the length, that it ends within.
fn codings_against_lengths() -> impl Iterator<Item = Attempt> {
    let size_line = format!("{:x}\r\n", SMUGGLED.len());
    let body = format!("{size_line}{SMUGGLED}\r\n0\r\n\r\n");
    let length = size_line.len();
    [CODINGS_MALFORMED, CODINGS_SOUND]
        .concat()
        .into_iter()
        .map(move |coding| (outer(&format!("{coding}\r\nContent-Length: {length}"), &body), Reading::Refused))
}

/// One reader sees a coding, another no body at all.
fn codings_alone() -> impl Iterator<Item = Attempt> {
    let body = format!("0\r\n\r\n{SMUGGLED}");
    CODINGS_MALFORMED.iter().map(move |coding| (outer(coding, &body), Reading::Refused))
}

/// One reader sees a length, another no body or one of another length.
fn lengths_alone() -> impl Iterator<Item = Attempt> {
    let length = SMUGGLED.len().to_string();
    LENGTHS_MALFORMED.iter().map(move |line| (outer(&line.replace('N', &length), SMUGGLED), Reading::Refused))
}

/// One reader sees the end of a body, another none.
fn chunks() -> impl Iterator<Item = Attempt> {
    let chunked = |body: String| outer("Transfer-Encoding: chunked", &body);
    let trailers = "0\r\nContent-Length: 37\r\nTransfer-Encoding: chunked\r\nHost: x\r\n\r\n".to_owned();
    let whole = format!("{:X};a=\"b\"\r\n{SMUGGLED}\r\n000\r\n\r\n", SMUGGLED.len());
    CHUNKS_MALFORMED.iter().map(move |body| (chunked(format!("{body}{SMUGGLED}")), Reading::Refused)).chain([
        (chunked(trailers), Reading::One(String::new())),
        (chunked(whole), Reading::One(SMUGGLED.to_owned())),
    ])
}

/// One reader sees the end of a head, another an error.
fn heads() -> impl Iterator<Item = Attempt> {
    HEADS_MALFORMED.iter().map(|head| (format!("{head}{SMUGGLED}"), Reading::Refused))
}

#[test]
fn no_request_is_smuggled() {
    let attempts: Vec<Attempt> = lengths_against_codings()
        .chain(codings_against_lengths())
        .chain(codings_alone())
        .chain(lengths_alone())
        .chain(chunks())
        .chain(heads())
        .collect();
    assert!(attempts.len() > 200, "{}", attempts.len());
    let front = Front::start();
    let mut handled = 0;
    for (request, reading) in attempts {
        let mut client = front.connect();
        client.send(&request).finish_sending();
        let answers = client.answers_until_close();
        assert_eq!(answers.len(), 1, "{request:?}: {answers:?}");
        let answer = &answers[0];
        match reading {
            Reading::Refused => {
                assert!(
                    (400..500).contains(&answer.status) || answer.status == 505,
                    "{request:?}: {answer:?}"
                );
                assert_eq!(answer.header("connection"), Some("close"), "{request:?}");
            }
            Reading::One(body) => {
                assert_eq!((answer.status, answer.text()), (200, body.as_str()), "{request:?}");
                assert_eq!(answer.header("x-line"), Some("POST /outer"), "{request:?}");
                handled += 1;
            }
        }
        assert_eq!(front.echo.handled.load(Ordering::SeqCst), handled, "{request:?}");
    }
}
