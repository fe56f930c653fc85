//! `fnlite logs -f`: lines as they come, for as long as somebody reads.
//!
//! The server says with every line, and in between, up to where everything was sent. So a connection that breaks is made
//! again and goes on after that, and what was printed before is asked for up to where following began: nothing is missing
//! and nothing comes twice. Ctrl-C ends it as it ends `tail -f`, by the signal.

use std::convert::Infallible;
use std::io::{self, Write};
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::wire::Line;
use crate::cli::Context;
use crate::cli::api::{Answer, Api, Query};
use crate::cli::event_stream::{Event, EventStream};
use crate::cli::exit::{Exit, Failure};
use crate::cli::lines::Printer;
use crate::cli::output::Out;
use crate::error;

/// Where lines are followed.
const PATH: &str = "/v1/logs/tail";
/// A connection that is silent for so long is dead: the server says something every two seconds.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// Before the first try to connect again, and the longest time before one.
const AGAIN: Duration = Duration::from_millis(100);
const AGAIN_MAX: Duration = Duration::from_secs(5);

/// What is followed.
#[derive(Debug)]
pub(super) struct Followed {
    /// What says which lines.
    pub(super) filters: Query,
    /// What says, beside that, which older lines are printed first; none where none are.
    pub(super) backlog: Option<Query>,
}

/// A page of lines, each as it came.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    lines: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Missed {
    lines: u64,
}

/// Follows until nobody reads what is printed, or the server says no.
pub(super) fn run(followed: Followed, context: &Context) -> Result<Infallible, Failure> {
    let api = context.api()?;
    let mut screen = Screen::new(followed.backlog, context)?;
    let mut rest = AGAIN;
    loop {
        let ended = listen(&api, &followed.filters, &mut screen);
        if let Some(failure) = screen.failure.take() {
            return Err(failure);
        }
        let why = passing(ended, screen.seen.is_some(), &api)?;
        if std::mem::take(&mut screen.has_heard) {
            rest = AGAIN;
            context.out.note(&format!("{why}; connecting again"));
        }
        std::thread::sleep(rest);
        rest = (rest * 2).min(AGAIN_MAX);
    }
}

/// One connection, to its end.
fn listen(api: &Api, filters: &Query, screen: &mut Screen) -> error::Result<Answer> {
    // What had come of an event when the last connection broke comes again.
    screen.stream = EventStream::default();
    let seen = screen.seen.clone();
    let after: Vec<(&str, &str)> = seen.iter().map(|id| ("Last-Event-ID", id.as_str())).collect();
    api.listen(PATH, filters.clone(), &after, SILENCE_MAX, screen)
}

/// Why a connection ended, if another one may do better; once one had begun, so may the next.
fn passing(ended: error::Result<Answer>, has_begun: bool, api: &Api) -> Result<String, Failure> {
    match ended {
        Err(error) if !has_begun => Err(api.unreachable(error)),
        Err(error) => Ok(error.message),
        Ok(answer) => match (answer.status(), answer.accepted()) {
            (_, Ok(_)) => Ok("the server has stopped".to_owned()),
            (429 | 503, Err(failure)) if has_begun => Ok(failure.message),
            (_, Err(failure)) => Err(failure),
        },
    }
}

/// Where what comes is printed.
struct Screen {
    out: Out,
    printer: Printer,
    /// For the older lines, which are asked for on a connection of their own.
    api: Api,
    backlog: Option<Query>,
    stream: EventStream,
    /// Up to where everything was printed.
    seen: Option<String>,
    /// Whether anything came since that was last asked.
    has_heard: bool,
    /// What is to be printed next.
    text: String,
    /// Why nothing more can be printed.
    failure: Option<Failure>,
}

impl Screen {
    fn new(backlog: Option<Query>, context: &Context) -> Result<Screen, Failure> {
        Ok(Screen {
            out: context.out,
            printer: Printer::new(context.out, context.times()),
            api: context.api()?,
            backlog,
            stream: EventStream::default(),
            seen: None,
            has_heard: false,
            text: String::new(),
            failure: None,
        })
    }

    fn show(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        for event in self.stream.take(bytes) {
            self.has_heard = true;
            self.event(&event)?;
            self.seen = event.id;
        }
        match std::mem::take(&mut self.text) {
            text if text.is_empty() => Ok(()),
            text => self.out.data(text.as_bytes()),
        }
    }

    fn event(&mut self, event: &Event) -> Result<(), Failure> {
        if let (Some(query), Some(id)) = (self.backlog.take(), &event.id) {
            self.older(query, id)?;
        }
        match (event.name.as_str(), event.data.as_str()) {
            (_, "") => Ok(()),
            ("", line) => self.line(line),
            ("missed", data) => {
                let Missed { lines } = understood(data)?;
                self.out.note(&format!("{lines} lines came too fast and were passed over"));
                Ok(())
            }
            // Of a server of a time to come.
            _ => Ok(()),
        }
    }

    /// The lines before following began, which is after the line of that id.
    fn older(&mut self, mut query: Query, id: &str) -> Result<(), Failure> {
        let after = id.parse::<i64>().ok().and_then(|id| id.checked_add(1));
        query.extend([("order", Some("desc".to_owned())), ("cursor", after.map(|id| id.to_string()))]);
        let answer = self.api.get("/v1/logs", query)?;
        let body = String::from_utf8_lossy(answer.body());
        let page: Page<'_> = understood(&body)?;
        page.lines.iter().rev().try_for_each(|line| self.line(line.get()))
    }

    fn line(&mut self, json: &str) -> Result<(), Failure> {
        if self.out.json {
            self.text += json;
            self.text.push('\n');
        } else {
            let line: Line = understood(json)?;
            self.text += &self.printer.line(&line);
        }
        Ok(())
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(failure) = self.show(bytes) {
            self.failure = Some(failure);
            return Err(io::Error::other("it cannot be printed"));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn understood<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, Failure> {
    serde_json::from_str(json).map_err(|cause| {
        Failure::new(Exit::Error, format!("what the server sent is not understood: {cause}"))
    })
}
