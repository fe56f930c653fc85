//! The front as a client sees it: raw bytes over real sockets, an echo behind it.

mod answers;
mod bodies;
mod coming_and_going;
mod crowd;
mod exhaustion;
mod framing;
mod requests;
mod slow;
mod smuggling;

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")
}

fn post(target: &str, headers: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: h\r\n{headers}\r\n{body}")
}
