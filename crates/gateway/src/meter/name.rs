//! Which names may be told. Callers may ask for any; only those of the configuration, and some that were answered well,
//! become labels.

use std::collections::HashSet;

use trunkline::config::Config;

/// What stands for all names that are not told.
pub(super) const OTHER: &str = "other";
/// Names that are not in the configuration and were answered well.
const EARNED: usize = 200;
/// Longer ones are none of these.
const LONGEST: usize = 128;

#[derive(Default)]
pub(super) struct Names {
    written: HashSet<String>,
    earned: HashSet<String>,
}

impl Names {
    /// The names of this configuration, instead of those of another one.
    pub(super) fn know(&mut self, config: &Config) {
        self.written.clear();
        for (alias, written) in &config.models {
            self.written.insert(alias.clone());
            self.written.extend(written.targets.iter().map(|choice| choice.target.clone()));
            self.written.extend(written.mirror.iter().map(|mirror| mirror.target.clone()));
        }
        self.written.extend(config.limits.keys().chain(config.prices.keys()).filter(|name| !name.contains('*')).cloned());
        for (task, model) in &config.tasks {
            self.written.insert(task.clone());
            self.written.insert(model.clone());
            self.written.insert(format!("task:{task}"));
        }
    }

    fn is_told(&self, name: &str) -> bool {
        self.written.contains(name) || self.earned.contains(name)
    }

    /// The name, if it may be told; one that was answered well (`good`) may be from now on, while there is room.
    pub(super) fn show(&mut self, name: &str, good: bool) -> String {
        if !self.is_told(name) && good && self.earned.len() < EARNED && name.len() <= LONGEST {
            self.earned.insert(name.to_owned());
        }
        if self.is_told(name) { name.to_owned() } else { OTHER.to_owned() }
    }

    /// The same for the name that was asked for. There may be none.
    pub(super) fn show_model(&mut self, name: &str, good: bool) -> String {
        if name.is_empty() { String::new() } else { self.show(name, good) }
    }

    /// The same for who answered: the provider's name is always told, for that is not the caller's.
    pub(super) fn show_target(&mut self, target: &str, good: bool) -> String {
        self.show(target, good);
        self.shown_target(target)
    }

    pub(super) fn shown_target(&self, target: &str) -> String {
        match target.split_once('/') {
            Some((provider, _)) if !self.is_told(target) => format!("{provider}/{OTHER}"),
            _ => target.to_owned(),
        }
    }
}
