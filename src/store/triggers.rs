//! Triggers. A timer's name is taken once in its function, whatever it runs; one of another kind once for each version or alias,
//! and one of object storage once for each event (triggers 6).

use rusqlite::{Row, params};

use crate::error::{About, Error, Kind as Failure, Result};
use crate::model::function::{FunctionName, LATEST, Namespace};
use crate::model::limits;
use crate::model::trigger::{Kind, Placed, Spec, State, Trigger, bucket_of};
use crate::store::{Store, Tx, functions, timers, trigger_spec};

/// Which trigger is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerRef {
    /// Its function's row id.
    pub function_id: i64,
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The version or alias that it runs; of a timer it does not matter.
    pub qualifier: Option<String>,
    /// The event, where it is one of object storage.
    pub event: Option<String>,
}

impl Store {
    /// Every trigger of a function, the last changed first.
    pub fn triggers(&self, function_id: i64) -> Result<Vec<Placed>> {
        self.read(|tx| placed(tx, "t.function_id = ?1", &[&function_id]))
    }

    /// Every trigger of a namespace, the last changed first.
    pub fn triggers_of_namespace(&self, namespace: &Namespace) -> Result<Vec<Placed>> {
        self.read(|tx| placed(tx, "f.namespace = ?1", &[&namespace.as_str()]))
    }

    /// Every trigger of that kind, whatever function it is of, the last changed first.
    pub fn triggers_of_kind(&self, kind: Kind) -> Result<Vec<Placed>> {
        self.read(|tx| placed(tx, "t.kind = ?1", &[&kind.as_str()]))
    }

    /// Keeps a new trigger; its row id, and how it is then. Fails with `NotFound` where the function was deleted meanwhile, with
    /// `Conflict` where its name is taken or it means what another means, and with `Limit`.
    pub fn create_trigger(&self, function_id: i64, trigger: &Trigger) -> Result<(i64, Trigger)> {
        let trigger = trigger.clone();
        self.write_durably(move |tx| {
            functions::check_there(tx, function_id)?;
            let kind = trigger.spec.kind();
            let own = all(tx, "function_id = ?1 AND kind = ?2", &[&function_id, &kind.as_str()])?;
            check_name(&own, &trigger)?;
            check_count(&own, "a function", kind)?;
            check_bucket(tx, &trigger, None)?;
            check_api(tx, function_id, &trigger, None)?;
            tx.execute(
                "INSERT INTO trigger_row (function_id, kind, name, qualifier, spec, enabled, custom_argument,
                     description, created_us, modified_us)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)",
                params![
                    function_id,
                    kind.as_str(),
                    trigger.name,
                    trigger.qualifier,
                    trigger_spec::text(&trigger.spec),
                    trigger.enabled,
                    trigger.custom_argument,
                    trigger.description,
                    tx.now_us,
                ],
            )?;
            let made = Trigger { created_us: tx.now_us, modified_us: tx.now_us, ..trigger };
            Ok((tx.last_insert_rowid(), made))
        })
    }

    /// Changes a trigger by `change`; how it is then. Fails with `NotFound`, and as [`create_trigger`](Store::create_trigger).
    pub fn update_trigger(
        &self,
        of: &TriggerRef,
        change: impl FnOnce(&mut Trigger) -> Result<()> + Send + 'static,
    ) -> Result<Trigger> {
        let of = of.clone();
        self.write_durably(move |tx| {
            let StoredTrigger { id, mut trigger } = find(tx, &of)?;
            let (spec, enabled) = (trigger.spec.clone(), trigger.enabled);
            change(&mut trigger)?;
            check_bucket(tx, &trigger, Some(id))?;
            check_api(tx, of.function_id, &trigger, Some(id))?;
            if trigger.enabled && (!enabled || trigger.spec != spec) {
                timers::set_anew(tx, id)?;
            }
            tx.execute(
                "UPDATE trigger_row SET spec = ?2, enabled = ?3, custom_argument = ?4, description = ?5, modified_us = ?6
                 WHERE id = ?1",
                params![
                    id,
                    trigger_spec::text(&trigger.spec),
                    trigger.enabled,
                    trigger.custom_argument,
                    trigger.description,
                    tx.now_us
                ],
            )?;
            Ok(Trigger { modified_us: tx.now_us, ..trigger })
        })
    }

    /// Deletes a trigger. Fails with `NotFound`.
    pub fn delete_trigger(&self, of: &TriggerRef) -> Result<()> {
        let of = of.clone();
        self.write_durably(move |tx| {
            let found = find(tx, &of)?;
            tx.execute("DELETE FROM trigger_row WHERE id = ?1", [found.id])?;
            Ok(())
        })
    }
}

struct StoredTrigger {
    id: i64,
    trigger: Trigger,
}

/// The columns of a trigger, which [`stored`] reads.
const COLUMNS: &str =
    "t.id, t.name, t.qualifier, t.spec, t.enabled, t.custom_argument, t.description, t.created_us,
                       t.modified_us, t.kind";

fn placed(tx: &Tx<'_>, condition: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<Placed>> {
    let sql = format!(
        "SELECT {COLUMNS}, f.id, f.namespace, f.name, coalesce(s.fired, 0), coalesce(s.failed, 0),
                coalesce(s.skipped, 0), coalesce(s.fired_us, 0), coalesce(s.error, ''), coalesce(s.error_us, 0)
         FROM trigger_row t JOIN function f ON f.id = t.function_id LEFT JOIN trigger_state s ON s.trigger_id = t.id
         WHERE {condition} ORDER BY t.modified_us DESC, t.id DESC"
    );
    let mut statement = tx.prepare_cached(&sql)?;
    let mut rows = statement.query(values)?;
    let mut triggers = Vec::new();
    while let Some(row) = rows.next()? {
        let StoredTrigger { id, trigger } = stored(row)?;
        let count = |column| row.get::<_, i64>(column).map(|count| u64::try_from(count).unwrap_or(0));
        triggers.push(Placed {
            id,
            trigger,
            function_id: row.get(10)?,
            namespace: Namespace::parse(&row.get::<_, String>(11)?)?,
            function: FunctionName::parse(&row.get::<_, String>(12)?)?,
            state: State {
                fired: count(13)?,
                failed: count(14)?,
                skipped: count(15)?,
                fired_us: row.get(16)?,
                error: row.get(17)?,
                error_us: row.get(18)?,
            },
        });
    }
    Ok(triggers)
}

fn all(tx: &Tx<'_>, condition: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<StoredTrigger>> {
    let sql =
        format!("SELECT {COLUMNS} FROM trigger_row t WHERE {condition} ORDER BY modified_us DESC, id DESC");
    let mut statement = tx.prepare_cached(&sql)?;
    let mut rows = statement.query(values)?;
    let mut triggers = Vec::new();
    while let Some(row) = rows.next()? {
        triggers.push(stored(row)?);
    }
    Ok(triggers)
}

fn find(tx: &Tx<'_>, of: &TriggerRef) -> Result<StoredTrigger> {
    let named = all(
        tx,
        "function_id = ?1 AND kind = ?2 AND name = ?3",
        &[&of.function_id, &of.kind.as_str(), &of.name.as_str()],
    )?;
    let is_meant = |stored: &StoredTrigger| {
        let trigger = &stored.trigger;
        let same_version = of.kind == Kind::Timer
            || of.qualifier.as_ref().is_none_or(|qualifier| *qualifier == trigger.qualifier);
        let same_event = match (&trigger.spec, &of.event) {
            (Spec::Cos(cos), Some(event)) => cos.event == *event,
            _ => true,
        };
        same_version && same_event
    };
    let mut meant: Vec<StoredTrigger> = named.into_iter().filter(is_meant).collect();
    // Of several it is the one that is made where nothing is said.
    let latest = meant.iter().position(|stored| stored.trigger.qualifier == LATEST).unwrap_or(0);
    if meant.is_empty() {
        let sentence = format!("there is no trigger {} of type {}", of.name, of.kind.as_str());
        return Err(Error::not_found(sentence).about(About::Trigger));
    }
    Ok(meant.swap_remove(latest))
}

fn check_count(rows: &[StoredTrigger], of: &str, kind: Kind) -> Result<()> {
    let most = limits::TRIGGERS_PER_KIND_MAX;
    if u32::try_from(rows.len()).is_ok_and(|count| count < most) {
        return Ok(());
    }
    Err(Error::limit(format!("{of} has at most {most} triggers of type {}", kind.as_str()))
        .about(About::Trigger))
}

fn check_name(own: &[StoredTrigger], trigger: &Trigger) -> Result<()> {
    let is_url = trigger.spec.kind() == Kind::Http;
    if is_url && own.iter().any(|stored| stored.trigger.qualifier == trigger.qualifier) {
        let sentence = format!("{} has a trigger of type http already", trigger.qualifier);
        return Err(Error::new(Failure::Conflict, sentence).about(About::Trigger));
    }
    let is_taken = own.iter().any(|stored| {
        let other = &stored.trigger;
        let same_version = trigger.spec.kind() == Kind::Timer || other.qualifier == trigger.qualifier;
        // A bucket's name may come with another event, or for other objects.
        let may_share =
            matches!((&other.spec, &trigger.spec), (Spec::Cos(one), Spec::Cos(other)) if one != other);
        other.name == trigger.name && same_version && !may_share
    });
    if !is_taken {
        return Ok(());
    }
    Err(Error::new(Failure::Conflict, format!("there is a trigger {} already", trigger.name))
        .about(About::TriggerName))
}

/// Of all rules of a bucket, whatever function they are of, no two may mean the same object, and they are few (triggers 2.2).
fn check_bucket(tx: &Tx<'_>, trigger: &Trigger, own_id: Option<i64>) -> Result<()> {
    let Spec::Cos(cos) = &trigger.spec else { return Ok(()) };
    let mut others = all(tx, "kind = 'cos'", &[])?;
    let bucket = bucket_of(&trigger.name);
    others.retain(|other| Some(other.id) != own_id && bucket_of(&other.trigger.name) == bucket);
    let clashes =
        others.iter().any(|other| matches!(&other.trigger.spec, Spec::Cos(other) if other.conflicts(cos)));
    if !clashes {
        return check_count(&others, "a bucket", Kind::Cos);
    }
    let sentence = "another trigger of that bucket means some of the same objects";
    Err(Error::new(Failure::Conflict, sentence).about(About::TriggerRule))
}

/// One path, method and environment of a service leads to one function, whatever its parts are called (triggers 1.4).
fn check_api(tx: &Tx<'_>, function_id: i64, trigger: &Trigger, own_id: Option<i64>) -> Result<()> {
    let Spec::Apigw(apigw) = &trigger.spec else { return Ok(()) };
    let sql = "SELECT name FROM function WHERE id = ?1";
    let function: String = tx.prepare_cached(sql)?.query_row([function_id], |row| row.get(0))?;
    let function = FunctionName::parse(&function)?;
    let others = placed(tx, "t.kind = ?1", &[&Kind::Apigw.as_str()])?;
    let same = others.iter().filter(|other| Some(other.id) != own_id).find(|other| {
        let Spec::Apigw(theirs) = &other.trigger.spec else { return false };
        theirs.service.eq_ignore_ascii_case(&apigw.service)
            && theirs.environment == apigw.environment
            && theirs.pattern_of(&other.function) == apigw.pattern_of(&function)
            && (theirs.method == apigw.method
                || [&theirs.method, &apigw.method].iter().any(|one| *one == "ANY"))
    });
    let Some(other) = same else { return Ok(()) };
    let sentence = format!("that path leads to {} of {} already", other.function, other.namespace);
    Err(Error::new(Failure::Conflict, sentence).about(About::Trigger))
}

fn stored(row: &Row<'_>) -> Result<StoredTrigger> {
    let (spec, kind): (String, String) = (row.get(3)?, row.get(9)?);
    Ok(StoredTrigger {
        id: row.get(0)?,
        trigger: Trigger {
            name: row.get(1)?,
            qualifier: row.get(2)?,
            spec: trigger_spec::read(&kind, &spec)?,
            enabled: row.get(4)?,
            custom_argument: row.get(5)?,
            description: row.get(6)?,
            created_us: row.get(7)?,
            modified_us: row.get(8)?,
        },
    })
}
