//! The object storage: buckets and objects, uploads in parts, and what comes of each for the functions whose triggers mean it.
//!
//! The order is always the same. The bytes go to the disk; who is to hear of it is found out, and each event given its place in
//! the queue, so that a full queue refuses the upload while nothing has changed; object and events are written in one
//! transaction; then the events enter the line, and what nothing names any more is removed.
//!
//! What must stay true: an upload that was answered is whole, and its events run at least once, whatever dies meanwhile. A
//! trigger whose function or version is gone does not keep an upload from being taken: the trigger says what was wrong.

use std::sync::Arc;

use crate::base::clock::Clock;
use crate::base::id::IdSource;
use crate::error::{Error, Kind, Result};
use crate::model::invocation::Source;
use crate::model::object::{Bucket, BucketName, FileId, Happening, Listed, Listing, Object, ObjectKey};
use crate::model::trigger::{self, Placed, Spec};
use crate::service::events::Events;
use crate::service::events::accept::Prepared;
use crate::service::invoke::Order;
use crate::service::objects::event::{Asker, Happened, Owner};
use crate::service::triggers::Triggers;
use crate::store::Store;
use crate::store::objects::files::{ObjectFiles, Staged};
use crate::store::objects::{Joined, Putting};

pub mod elsewhere;
pub mod event;
mod reading;
pub mod uploads;
mod writing;

pub use reading::Opened;
pub use writing::{From, Manner};

/// The object storage.
#[derive(Debug)]
pub struct Objects {
    store: Store,
    files: Arc<ObjectFiles>,
    events: Arc<Events>,
    triggers: Arc<Triggers>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    owner: Owner,
}

/// What the object storage is made of.
#[derive(Debug)]
pub struct Parts {
    /// Where rows are kept.
    pub store: Store,
    /// Where bytes are.
    pub files: Arc<ObjectFiles>,
    /// What runs functions later.
    pub events: Arc<Events>,
    /// Who is to hear of what.
    pub triggers: Arc<Triggers>,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// Names of files, ids of uploads.
    pub ids: Arc<dyn IdSource>,
    /// Whose it is.
    pub owner: Owner,
}

/// Events that have their places, and the triggers they are of.
type Heard<'a> = Vec<(i64, Prepared<'a>)>;

impl Objects {
    /// The storage made of those.
    pub fn new(parts: Parts) -> Objects {
        let Parts { store, files, events, triggers, clock, ids, owner } = parts;
        Objects { store, files, events, triggers, clock, ids, owner }
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.owner.region
    }

    /// The application's id, which every bucket's name ends with.
    pub fn appid(&self) -> &str {
        &self.owner.appid
    }

    /// Makes a bucket. Fails with `Conflict` where there is one of that name, with `Denied` where its name ends with another
    /// application's id.
    pub fn create_bucket(&self, name: &BucketName) -> Result<()> {
        if name.appid() != self.owner.appid {
            let sentence = format!("a bucket of this server is named NAME-{}", self.owner.appid);
            return Err(Error::new(Kind::Denied, sentence));
        }
        self.store.create_bucket(name)
    }

    /// Deletes a bucket. Fails with `NotFound`, and with `Conflict` where something is in it.
    pub fn delete_bucket(&self, name: &BucketName) -> Result<()> {
        self.store.delete_bucket(name)
    }

    /// Every bucket by name.
    pub fn buckets(&self) -> Result<Vec<Bucket>> {
        self.store.buckets()
    }

    /// Fails with `NotFound` where there is no such bucket.
    pub fn check_bucket(&self, name: &BucketName) -> Result<()> {
        self.store.check_bucket(name)
    }

    /// Why nothing that is done here fires a trigger of object storage, as things are; none where something does. One that has
    /// fired is another store's, or its bucket was here: it is passed over.
    pub fn warning(&self, placed: &Placed) -> Result<Option<String>> {
        if placed.trigger.spec.kind() != trigger::Kind::Cos || placed.state.fired > 0 {
            return Ok(None);
        }
        let bucket = BucketName::parse(trigger::bucket_of(&placed.trigger.name))?;
        let appid = &self.owner.appid;
        if bucket.appid() != appid {
            let why =
                format!("buckets of this server end with -{appid}: only another store can tell of {bucket}");
            return Ok(Some(why));
        }
        match self.check_bucket(&bucket) {
            Err(error) if error.kind == Kind::NotFound => {
                Ok(Some(format!("there is no bucket {bucket} here yet")))
            }
            checked => checked.map(|()| None),
        }
    }

    /// A page of a bucket's objects. Fails with `NotFound`.
    pub fn list(&self, bucket: &BucketName, listing: &Listing) -> Result<Listed<Object>> {
        self.store.list_objects(bucket, listing)
    }

    /// Deletes objects, all in one commit; those that are not there are none. Fails with `NotFound` (the bucket), `Full` and
    /// `Busy`.
    pub fn delete(&self, bucket: &BucketName, keys: Vec<ObjectKey>, asker: &Asker) -> Result<()> {
        let at_us = self.clock.wall_us();
        let (mut heard, mut deletions) = (Vec::new(), Vec::new());
        for key in keys {
            let of_this = self.hear(&self.happened(Happening::Delete, bucket, &key, at_us, asker))?;
            deletions.push((key, of_this.iter().map(|(_, prepared)| prepared.record.clone()).collect()));
            heard.push(of_this);
        }
        let deleted = self.store.delete_objects(bucket, deletions);
        match deleted {
            Ok(files) => {
                for (file, of_this) in files.into_iter().zip(heard) {
                    let Some(file) = file else { continue };
                    self.admit(of_this);
                    self.files.remove(&file);
                }
                Ok(())
            }
            Err(error) => {
                heard.into_iter().for_each(|of_this| self.give_back(&error, of_this));
                Err(error)
            }
        }
    }

    /// Removes files that a crash left behind, until `is_over` says that it is to end.
    pub fn sweep(&self, is_over: impl Fn() -> bool) -> Result<()> {
        let removed = self.files.sweep(&self.store, is_over)?;
        if removed > 0 {
            log::info!("{removed} files of objects that were never finished, or are gone, were removed");
        }
        Ok(())
    }

    /// Writes an object whose bytes are on the disk, with what comes of it.
    fn put(&self, place: Place<'_>, staged: Staged, object: Object, asker: &Asker) -> Result<Object> {
        let Place { bucket, happening, upload, may_replace } = place;
        let mut happened = self.happened(happening, bucket, &object.key, object.modified_us, asker);
        (happened.size, happened.meta) = (object.content.size, event::meta(&object, asker));
        let heard = self.hear(&happened)?;
        let events = heard.iter().map(|(_, prepared)| prepared.record.clone()).collect();
        let putting = Putting { bucket: bucket.clone(), object: object.clone(), upload, may_replace, events };
        match self.store.put_object(putting) {
            Ok(left_over) => {
                staged.keep();
                self.admit(heard);
                left_over.iter().for_each(|file| self.files.remove(file));
                Ok(object)
            }
            Err(error) => {
                if is_doubtful(&error) {
                    // A start finds out.
                    staged.keep();
                }
                self.give_back(&error, heard);
                Err(error)
            }
        }
    }

    fn happened(
        &self,
        happening: Happening,
        bucket: &BucketName,
        key: &ObjectKey,
        at_us: i64,
        asker: &Asker,
    ) -> Happened {
        Happened {
            name: happening.as_str().to_owned(),
            bucket: bucket.clone(),
            key: key.as_str().to_owned(),
            size: 0,
            meta: event::request_id(asker),
            version: String::new(),
            at_us,
            asker: asker.clone(),
        }
    }

    /// An event for each trigger that means this, each with its place in the queue.
    fn hear(&self, happened: &Happened) -> Result<Heard<'_>> {
        let mut heard = Vec::new();
        for trigger in self.meant(happened)? {
            match self.events.prepare(self.order(happened, &trigger), trigger.id) {
                Ok(prepared) => heard.push((trigger.id, prepared)),
                Err(error) if matches!(error.kind, Kind::NotFound | Kind::Limit) => {
                    self.triggers.fired(trigger.id, Some(&error.message));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(heard)
    }

    /// The triggers that are on and mean this.
    fn meant(&self, happened: &Happened) -> Result<Vec<Placed>> {
        let mut triggers = self.triggers.to_fire(trigger::Kind::Cos)?;
        triggers.retain(|placed| {
            let Spec::Cos(cos) = &placed.trigger.spec else { return false };
            trigger::bucket_of(&placed.trigger.name) == happened.bucket.as_str()
                && cos.means(&happened.name, &happened.key)
        });
        Ok(triggers)
    }

    fn order(&self, happened: &Happened, trigger: &Placed) -> Order {
        Order::of(trigger, event::event(happened, &self.owner, trigger), Source::Cos)
    }

    /// Lets events into the line that were committed.
    fn admit(&self, heard: Heard<'_>) {
        for (trigger, prepared) in heard {
            self.triggers.fired(trigger, None);
            self.events.admit(prepared);
        }
    }

    /// Gives places back, their events not being committed, as far as that is known.
    fn give_back(&self, error: &Error, heard: Heard<'_>) {
        heard.into_iter().for_each(|(_, prepared)| self.events.give_back(prepared, error));
    }

    fn new_file_id(&self) -> FileId {
        FileId::of(self.ids.secret())
    }
}

/// Where an object goes, and how it came to be.
struct Place<'a> {
    bucket: &'a BucketName,
    happening: Happening,
    upload: Option<Joined>,
    may_replace: bool,
}

/// Whether it may have been committed all the same.
fn is_doubtful(error: &Error) -> bool {
    matches!(error.kind, Kind::Busy | Kind::Internal)
}
