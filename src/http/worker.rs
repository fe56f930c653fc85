//! The threads of the front. One leads: it runs the event loop, waiting for all sockets at once. When that brings a whole
//! request, the leader hands the lead to an idle worker and answers the request itself, so that on the way from socket to
//! handler no thread wakes another one and waits for it. A worker never waits for a socket.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar};
use std::thread::JoinHandle;

use super::connection::Connection;
use super::deliver::{Pen, checked, deliver};
use super::encode::Manner;
use super::event_loop::EventLoop;
use super::front::Front;
use super::queue::Queue;
use super::request::{LineWatch, Request};
use super::response::{After, Content, Response};
use super::streams::{Admission, stream};
use crate::base::thread::spawn;
use crate::error::Result;

/// A request to answer, with the connection it came on.
#[derive(Debug)]
pub(super) struct Job {
    pub connection: Box<Connection>,
    pub request: Box<Request>,
}

/// What a worker can be woken for.
#[derive(Debug)]
pub(super) enum Duty {
    Answer(Job),
    Lead(Box<EventLoop>),
}

/// Starts workers for `count` requests at once, and one to lead meanwhile; they end when the queue does.
pub(super) fn start(
    front: &Arc<Front>,
    count: usize,
    duties: &Arc<Queue<Duty>>,
) -> Result<Vec<JoinHandle<()>>> {
    (0..=count)
        .map(|number| {
            let (front, duties) = (Arc::clone(front), Arc::clone(duties));
            spawn(&format!("http-{number}"), move || work(&front, &duties))
        })
        .collect()
}

fn work(front: &Arc<Front>, duties: &Queue<Duty>) {
    let (mut pen, bell) = (Pen::default(), Arc::new(Condvar::new()));
    while let Some(duty) = duties.pop(&bell) {
        let job = match duty {
            Duty::Answer(job) => Some(job),
            Duty::Lead(event_loop) => lead(event_loop, duties),
        };
        if let Some(job) = job
            && !front.is_cut()
        {
            serve(front, job, &mut pen);
        }
    }
}

/// Leads until there is a request to answer. Where none comes any more, the front is over and everybody may go.
fn lead(event_loop: Box<EventLoop>, duties: &Queue<Duty>) -> Option<Job> {
    let job = catch_unwind(AssertUnwindSafe(|| event_loop.lead())).unwrap_or_else(|_| {
        log::error!("the event loop panicked");
        None
    });
    if job.is_none() {
        duties.close();
    }
    job
}

/// Answers one request. A panic of our own costs its connection and not the thread.
fn serve(front: &Arc<Front>, job: Job, pen: &mut Pen) {
    let key = job.connection.key;
    let served = catch_unwind(AssertUnwindSafe(|| {
        let (manner, response, after) = answer(front, *job.request);
        if matches!(response.content, Content::Stream(_)) {
            return start_stream(front, (job.connection, manner, response, after), pen);
        }
        give_back(front, key, deliver(front, job.connection, manner, response, pen));
        run(after);
    }));
    if served.is_err() {
        front.gone(key);
    }
}

/// The handler's answer, how to send it, and what to do when it is on its way.
fn answer(front: &Front, request: Request) -> (Manner, Response, Option<After>) {
    let manner = Manner::of(&request.head);
    let mut response = checked(front, front.answer(request));
    let after = response.after.take();
    // Asked after the handler: we may have begun to stop meanwhile.
    (front.manner_now(manner), response, after)
}

/// Answers a request of which the handler said that it may take long, on a thread of its own.
pub(super) fn serve_patiently(front: &Arc<Front>, job: Job) {
    let mut pen = Pen::default();
    let key = job.connection.key;
    let served = catch_unwind(AssertUnwindSafe(|| {
        let line = LineWatch::of(&job.connection.socket);
        let (manner, response, after) = answer(front, Request { line, ..*job.request });
        let send = if matches!(response.content, Content::Stream(_)) { stream } else { deliver };
        give_back(front, key, send(front, job.connection, manner, response, &mut pen));
        run(after);
    }));
    if served.is_err() {
        front.gone(key);
    }
}

type Answered = (Box<Connection>, Manner, Response, Option<After>);

/// Sends a stream on a thread of its own, or a refusal if there is none for it.
fn start_stream(front: &Arc<Front>, answered: Answered, pen: &mut Pen) {
    let rejected = match front.streams.admit() {
        None => Some((answered, 429, "too many long answers at once")),
        Some(admission) => start_admitted(front, admission, answered)
            .map(|answered| (answered, 503, "no thread could be started")),
    };
    if let Some(((connection, manner, _, after), status, sentence)) = rejected {
        let refusal = front.refused_with(status, sentence).with_header("Retry-After", "1");
        give_back(front, connection.key, deliver(front, connection, manner, refusal, pen));
        run(after);
    }
}

fn start_admitted(front: &Arc<Front>, admission: Admission, answered: Answered) -> Option<Answered> {
    let on_thread = Arc::clone(front);
    let run_stream = move |(connection, manner, response, after): Answered| {
        let key = connection.key;
        let sent = catch_unwind(AssertUnwindSafe(|| {
            stream(&on_thread, connection, manner, response, &mut Pen::default())
        }));
        give_back(&on_thread, key, sent.ok().flatten());
        run(after);
    };
    front.streams.start(admission, answered, run_stream).err()
}

fn give_back(front: &Front, key: u64, connection: Option<Box<Connection>>) {
    match connection {
        Some(connection) => front.hand_back(connection),
        None => front.gone(key),
    }
}

fn run(after: Option<After>) {
    if let Some(after) = after
        && catch_unwind(AssertUnwindSafe(after)).is_err()
    {
        log::error!("what a handler left for after its answer panicked");
    }
}
