//! All lines that were asked for, as a stream: a page is looked for when the one before was taken, so memory is that of a page,
//! and no transaction is open while a slow client reads.

use std::io::{self, Read};
use std::time::Duration;

use crate::api::rest::logs::HitBody;
use crate::base::csv;
use crate::error::{Kind, Result};
use crate::http::request::LineWatch;
use crate::http::response::Response;
use crate::service::logs::Logs;
use crate::service::search::{Hit, LinesAsked};

/// How long one page is looked for before the transport may look whether to go on.
const PATIENCE: Duration = Duration::from_millis(500);

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// A JSON object each.
    Ndjson,
    /// RFC 4180, with a header line.
    Csv,
}

impl Written {
    fn media_type(self) -> &'static str {
        match self {
            Written::Ndjson => "application/x-ndjson",
            Written::Csv => "text/csv; charset=utf-8; header=present",
        }
    }

    fn head(self) -> &'static [u8] {
        match self {
            Written::Ndjson => b"",
            Written::Csv => b"id,time,function,request_id,retry_num,stream,level,message\r\n",
        }
    }

    fn write(self, hit: &Hit, bytes: &mut Vec<u8>) {
        match self {
            Written::Ndjson => {
                serde_json::to_writer(&mut *bytes, &HitBody::of(hit))
                    .expect("a vector takes everything, and names and numbers become JSON");
                bytes.push(b'\n');
            }
            Written::Csv => comma_separated(hit, bytes),
        }
    }
}

/// Streams at most `most` lines. What is wrong with the request is told now, not by a stream that breaks off.
pub(super) fn export(
    logs: Logs,
    asked: LinesAsked,
    written: Written,
    most: Option<u64>,
    client: Option<LineWatch>,
) -> Result<Response> {
    let asked = LinesAsked { patience: PATIENCE, ..asked };
    let mut lines = Lines {
        logs,
        asked,
        written,
        left: most.unwrap_or(u64::MAX),
        bytes: written.head().to_vec(),
        at: 0,
        is_over: false,
        client,
    };
    lines.fill()?;
    Ok(Response::new(200).with_header("Content-Type", written.media_type()).with_stream(lines))
}

struct Lines {
    logs: Logs,
    asked: LinesAsked,
    written: Written,
    /// Lines that may still follow.
    left: u64,
    /// What is to be read next, from `at` on.
    bytes: Vec<u8>,
    at: usize,
    is_over: bool,
    client: Option<LineWatch>,
}

impl Lines {
    fn fill(&mut self) -> Result<()> {
        let hits = self.logs.lines(&self.asked)?;
        let rows = hits.rows.iter().take(usize::try_from(self.left).unwrap_or(usize::MAX));
        rows.for_each(|hit| self.written.write(hit, &mut self.bytes));
        self.left = self.left.saturating_sub(hits.rows.len() as u64);
        self.asked.after = hits.next;
        self.is_over = hits.next.is_none() || self.left == 0;
        Ok(())
    }
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.bytes.len() {
            if self.is_over {
                return Ok(0);
            }
            self.bytes.clear();
            self.at = 0;
            // Where nothing matches for long, nothing else would notice.
            if self.client.as_ref().is_some_and(LineWatch::is_dead) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            match self.fill() {
                Ok(()) => {}
                // Others search just now, and the wait for them has an end of its own.
                Err(error) if error.kind == Kind::Busy => return Err(io::ErrorKind::Interrupted.into()),
                Err(error) => {
                    log::error!("an export of the log broke off: {error:#}");
                    return Err(io::Error::other(error));
                }
            }
            if self.bytes.is_empty() && !self.is_over {
                // Nothing yet; whoever reads may look whether he still wants it.
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
        let count = buffer.len().min(self.bytes.len() - self.at);
        buffer[..count].copy_from_slice(&self.bytes[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

fn comma_separated(hit: &Hit, bytes: &mut Vec<u8>) {
    let line = &hit.line;
    let time = jiff::Timestamp::from_microsecond(line.line.ts_us).map(|time| format!("{time:.6}"));
    let request_id = line.request_id.as_ref().map_or("", |id| id.as_str());
    let start = format!(
        "{},{},{},{request_id},{},{},{},",
        line.id,
        time.unwrap_or_default(),
        line.function,
        line.retry_num,
        line.line.stream.as_str(),
        line.line.level.as_str()
    );
    bytes.extend(start.as_bytes());
    bytes.extend(csv::field(&line.line.message).as_bytes());
    bytes.extend(b"\r\n");
}
