//! The text format in which Prometheus reads figures, version 0.0.4.

use std::fmt::{Display, Write as _};

use super::Histogram;
use super::cell::BOUNDS;

/// A page, written family after family.
#[derive(Default)]
pub(super) struct Text(String);

/// The kinds of families.
#[derive(Clone, Copy)]
pub(super) enum Family {
    Counter,
    Gauge,
    Histogram,
}

/// Names and values of labels; those without a value are left out.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

impl Text {
    /// Begins a family. Each name is begun once.
    pub(super) fn family(&mut self, name: &str, family: Family, help: &str) {
        let kind = match family {
            Family::Counter => "counter",
            Family::Gauge => "gauge",
            Family::Histogram => "histogram",
        };
        let _ = writeln!(self.0, "# HELP {name} {}\n# TYPE {name} {kind}", escape(help, false));
    }

    /// A figure of the family that was begun.
    pub(super) fn figure(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.0.push_str(name);
        let told = || labels.iter().filter(|(_, value)| !value.is_empty());
        if told().next().is_some() {
            for (at, (label, value)) in told().enumerate() {
                let begin = if at == 0 { '{' } else { ',' };
                let _ = write!(self.0, "{begin}{label}=\"{}\"", escape(value, true));
            }
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    /// The figures of a family of durations.
    pub(super) fn histogram(&mut self, name: &str, labels: Labels<'_>, histogram: &Histogram) {
        let bucket = format!("{name}_bucket");
        let mut below = 0;
        let bounds = BOUNDS.iter().map(|bound| (*bound as f64 / 1e6).to_string()).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(histogram.buckets) {
            below += count;
            let labels: Vec<_> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            self.figure(&bucket, &labels, below);
        }
        self.figure(&format!("{name}_sum"), labels, histogram.micros as f64 / 1e6);
        self.figure(&format!("{name}_count"), labels, histogram.count());
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into_bytes()
    }
}

fn escape(text: &str, quoted: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quoted { text.replace('"', "\\\"") } else { text }
}
