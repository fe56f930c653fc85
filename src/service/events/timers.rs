//! Events of timers: many that are due at one moment are kept in one commit.

use crate::error::{Kind, Result};
use crate::model::invocation::Source;
use crate::model::trigger::Placed;
use crate::service::events::Events;
use crate::service::events::accept::{Place, Prepared};
use crate::service::invoke::Order;
use crate::store::timers::{Due, Fired};

/// A timer whose moment has come.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The trigger.
    pub timer: &'a Placed,
    /// The moment, microseconds since the epoch.
    pub moment_us: i64,
}

impl Events {
    /// Keeps what those timers are to run, `event` giving the JSON of each; what became of each. When it returns, all of it
    /// survives a power cut. One fails with `Full` where the queue takes no more for now, all together with `Busy` and
    /// `Internal`; then they are to be tried again, and none fires twice by that.
    ///
    /// What cannot run because its function or version is not there has had its moment all the same.
    pub fn fire(
        &self,
        moments: &[Moment<'_>],
        event: impl Fn(&Moment<'_>) -> Vec<u8>,
    ) -> Result<Vec<Result<Fired>>> {
        let (mut due, mut places) = (Vec::new(), Vec::new());
        for moment in moments {
            let (wanted, place) = match self.wanted(moment, event(moment)) {
                Ok((wanted, place)) => (Some(wanted), Ok(Some(place))),
                Err(error) if error.kind == Kind::Full => (None, Err(error)),
                Err(error) if matches!(error.kind, Kind::Busy | Kind::Internal) => return Err(error),
                // There is nothing to run; that is told of when it is known that the moment was seen to.
                Err(error) => (Some(nothing(moment)), Err(error)),
            };
            due.extend(wanted);
            places.push(place);
        }
        match self.parts.store.fire_timers(due) {
            Ok(fired) => Ok(self.told(places, fired)),
            Err(error) => {
                places.into_iter().flatten().flatten().for_each(|place| self.not_kept(place, &error));
                Err(error)
            }
        }
    }

    fn wanted(&self, moment: &Moment<'_>, event: Vec<u8>) -> Result<(Due, Place<'_>)> {
        let order = Order::of(moment.timer, event, Source::Timer);
        let Prepared { place, record } = self.prepare(order, moment.timer.id)?;
        Ok((Due { record: Some(record), ..nothing(moment) }, place))
    }

    /// What became of each, by what was stored of those that had a place or had nothing to run.
    fn told(&self, places: Vec<Result<Option<Place<'_>>>>, fired: Vec<Fired>) -> Vec<Result<Fired>> {
        let mut fired = fired.into_iter();
        let mut next = || fired.next().unwrap_or(Fired::Gone);
        let told = |place: Result<Option<Place<'_>>>| match place {
            Ok(place) => {
                let fired = next();
                if let (Fired::Queued, Some(place)) = (fired, place) {
                    self.kept(place);
                }
                Ok(fired)
            }
            Err(error) if error.kind == Kind::Full => Err(error),
            Err(error) => match next() {
                Fired::Nothing => Err(error),
                other => Ok(other),
            },
        };
        places.into_iter().map(told).collect()
    }
}

fn nothing(moment: &Moment<'_>) -> Due {
    Due { trigger_id: moment.timer.id, moment_us: moment.moment_us, record: None }
}
