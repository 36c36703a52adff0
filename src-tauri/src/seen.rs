//! What the menu bar knows: the agent's stream of changes, folded.

use std::collections::BTreeMap;

use berth_api::dto::{Change, HostLive, InstanceView, OperationView};

/// Hosts, instances and operations as the agent last told.
#[derive(Default)]
pub(crate) struct Seen {
    hosts: BTreeMap<String, HostLive>,
    instances: BTreeMap<String, InstanceView>,
    operations: BTreeMap<String, OperationView>,
}

/// One instance in the menu bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// `HOST/NAME`.
    pub(crate) full: String,
    /// Its name and its state in a word.
    pub(crate) title: String,
    /// Whether this machine has its password.
    pub(crate) copies: bool,
    /// Start or stop, where its host has just said which of them makes sense.
    pub(crate) turn: Option<Turn>,
}

/// What can be done to an instance from the menu bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Start,
    Stop,
}

fn full(instance: &InstanceView) -> String {
    format!("{}/{}", instance.host, instance.name)
}

impl Seen {
    /// Folds one change in; answers the operations that ended with it.
    pub(crate) fn take(&mut self, change: Change) -> Vec<OperationView> {
        match change {
            Change::Snapshot {
                hosts,
                instances,
                operations,
            } => {
                self.hosts = hosts
                    .into_iter()
                    .map(|h| (h.host.name.clone(), h))
                    .collect();
                self.instances = instances.into_iter().map(|i| (i.id.clone(), i)).collect();
                // What ended before anyone looked is not news.
                self.operations = operations.into_iter().map(|o| (o.id.clone(), o)).collect();
            }
            Change::Host { host } => {
                self.hosts.insert(host.host.name.clone(), host);
            }
            Change::HostGone { name } => {
                self.hosts.remove(&name);
                self.instances.retain(|_, i| i.host != name);
            }
            Change::Instances { instances } => self
                .instances
                .extend(instances.into_iter().map(|i| (i.id.clone(), i))),
            Change::InstancesGone { ids } => {
                for id in ids {
                    self.instances.remove(&id);
                }
            }
            Change::Operation { operation } => {
                let ran = self
                    .operations
                    .get(&operation.id)
                    .is_none_or(|before| before.state == "running");
                let ended = ran && operation.state != "running";
                self.operations
                    .insert(operation.id.clone(), operation.clone());
                if ended {
                    return vec![operation];
                }
            }
        }
        Vec::new()
    }

    /// `HOST/NAME` of the instance of this id.
    pub(crate) fn named(&self, id: &str) -> Option<String> {
        self.instances.get(id).map(full)
    }

    /// The instances for the menu bar: by name, then by host.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut instances: Vec<_> = self.instances.values().collect();
        instances.sort_by(|a, b| (&a.name, &a.host).cmp(&(&b.name, &b.host)));
        let twice = |name: &str| instances.iter().filter(|i| i.name == name).count() > 1;
        instances
            .iter()
            .map(|i| {
                let name = if twice(&i.name) {
                    full(i)
                } else {
                    i.name.clone()
                };
                let state = self.state_of(i);
                Row {
                    full: full(i),
                    title: format!("{name}: {state}"),
                    copies: i.credentials && !i.unfinished,
                    turn: match (i.fresh, i.state.as_str()) {
                        (true, "running") => Some(Turn::Stop),
                        (true, "stopped" | "failed" | "created") => Some(Turn::Start),
                        _ => None,
                    },
                }
            })
            .collect()
    }

    /// One word, or two where the host does not answer: an old state is never shown as the present one.
    fn state_of(&self, instance: &InstanceView) -> String {
        let away = self
            .hosts
            .get(&instance.host)
            .is_some_and(|h| h.state == "unreachable");
        match (away, instance.fresh) {
            (true, _) => "host not reached".to_owned(),
            (false, false) => format!("{} when last seen", instance.state),
            (false, true) if instance.unfinished => "unfinished".to_owned(),
            (false, true) => instance.state.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn instance(id: &str, name: &str, host: &str, state: &str, fresh: bool) -> serde_json::Value {
        json!({
            "id": id, "name": name, "host": host, "version": "2022", "edition": "express", "state": state,
            "cause": null, "hint": null, "endpoint_host": "127.0.0.1", "port": 14330, "endpoint_open": true,
            "data": "keep", "database": null, "login": "sa", "memory": 0, "image": "", "container": "", "owner": "",
            "seen_at": "2026-11-22T20:00:00Z", "fresh": fresh, "practice": false, "credentials": true,
            "unfinished": false
        })
    }

    fn host(name: &str, state: &str) -> serde_json::Value {
        json!({
            "host": {"name": name, "address": "ssh://a", "os": null, "route": null, "probed_at": null,
                     "is_default": false, "is_practice": false, "sign_in": null, "host_key": null},
            "state": state, "since": "", "seen_at": null, "retry_at": null, "error": null
        })
    }

    fn change(value: serde_json::Value) -> Change {
        serde_json::from_value(value).expect("the shape of the table")
    }

    #[test]
    fn the_menu_shows_every_instance_once_by_name_with_a_true_state() {
        let mut seen = Seen::default();
        seen.take(change(
            json!({"kind": "snapshot", "hosts": [host("a", "connected"), host("b", "unreachable")],
            "instances": [
                instance("1", "orders", "a", "running", true),
                instance("2", "orders", "b", "running", false),
                instance("3", "billing", "a", "stopped", true),
                instance("4", "old", "a", "running", false)],
            "operations": []}),
        ));
        let rows = seen.rows();
        let titles: Vec<_> = rows.iter().map(|r| r.title.as_str()).collect();
        assert_eq!(
            titles,
            [
                "billing: stopped",
                "old: running when last seen",
                "a/orders: running",
                "b/orders: host not reached"
            ],
            "what is old must not look as if it was just checked"
        );
        let turns: Vec<_> = rows.iter().map(|r| r.turn).collect();
        assert_eq!(turns, [Some(Turn::Start), None, Some(Turn::Stop), None]);
        assert_eq!(seen.named("3").as_deref(), Some("a/billing"));

        seen.take(change(json!({"kind": "instances_gone", "ids": ["1"]})));
        seen.take(change(json!({"kind": "host_gone", "name": "b"})));
        assert_eq!(seen.rows().len(), 2, "what is gone is gone");
        assert_eq!(seen.named("2"), None);
    }

    #[test]
    fn an_operation_is_news_once() {
        let operation = |state: &str| {
            change(json!({"kind": "operation", "operation": {
                "id": "o", "title": "Making orders", "state": state, "started_at": "", "phase": null}}))
        };
        let mut seen = Seen::default();
        assert!(seen.take(operation("running")).is_empty());
        assert_eq!(seen.take(operation("done")).len(), 1);
        assert!(
            seen.take(operation("done")).is_empty(),
            "told twice, notified once"
        );
        seen.take(change(
            json!({"kind": "snapshot", "hosts": [], "instances": [], "operations": [
            {"id": "p", "title": "", "state": "failed", "started_at": "", "phase": null}]}),
        ));
        assert!(
            seen.take(change(json!({"kind": "operation", "operation":
                {"id": "p", "title": "", "state": "failed", "started_at": "", "phase": null}})))
                .is_empty(),
            "what ended before the app started is no news"
        );
    }
}
