//! A figure beside its reference and its bar.

use crate::plan::Plan;
use serde::Serialize;
use std::fmt;

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) figure: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    /// What the same run measured beside it, in the same unit.
    pub(crate) reference: Option<f64>,
    /// In words.
    pub(crate) bar: String,
    /// `None` where no bar is held against it: in a smoke run.
    pub(crate) ok: Option<bool>,
    /// How it was measured.
    pub(crate) note: String,
}

impl Row {
    pub(crate) fn new(
        plan: &Plan,
        figure: impl Into<String>,
        value: f64,
        unit: &'static str,
    ) -> Self {
        Self {
            figure: figure.into(),
            value,
            unit,
            reference: None,
            bar: String::new(),
            ok: (!plan.smoke).then_some(false),
            note: String::new(),
        }
    }

    pub(crate) fn beside(mut self, reference: f64) -> Self {
        self.reference = Some(reference);
        self
    }

    pub(crate) fn bar(mut self, bar: &str, is_met: bool) -> Self {
        self.bar = bar.into();
        self.ok = self.ok.map(|_| is_met);
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn columns(&self) -> [String; 5] {
        let number = |value: f64| match value.abs() {
            large if large >= 100.0 => format!("{value:.0}"),
            _ => format!("{value:.2}"),
        };
        [
            self.figure.clone(),
            format!("{} {}", number(self.value), self.unit),
            self.reference.map_or("–".into(), number),
            self.bar.clone(),
            match self.ok {
                Some(true) => "met".into(),
                Some(false) => "MISSED".into(),
                None => "not judged".into(),
            },
        ]
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [figure, value, reference, bar, met] = self.columns();
        write!(
            f,
            "{figure}: {value}, beside {reference}; bar {bar}: {met}. {}",
            self.note
        )
    }
}

pub(crate) fn table(rows: &[Row]) -> String {
    let heading = ["figure", "value", "reference", "bar", ""].map(String::from);
    let lines: Vec<[String; 5]> = std::iter::once(heading)
        .chain(rows.iter().map(Row::columns))
        .collect();
    let mut widths = [0; 5];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String; 5]| {
        let cells = cells.iter().zip(widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The middle one.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    let half = sorted.len() / 2;
    match sorted.len() % 2 {
        0 => f64::midpoint(at(half.wrapping_sub(1)), at(half)),
        _ => at(half),
    }
}

/// What so large a part of the values (0 to 1) is not above.
pub(crate) fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let below = values.iter().enumerate();
    let count = values.len() as f64;
    below
        .map(|(index, value)| (index as f64 + 1.0, *value))
        .find(|(rank, _)| *rank >= part * count)
        .map_or(f64::NAN, |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::{median, quantile};

    #[test]
    fn the_middle_and_the_tail_are_found() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        let mut values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(quantile(&mut values, 0.95), 95.0);
        assert_eq!(quantile(&mut values, 0.99), 99.0);
        assert_eq!(quantile(&mut [7.0], 0.99), 7.0);
    }
}
