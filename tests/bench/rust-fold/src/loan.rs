//! A loan application, folded from its steps: the same rows as `www/src/bench/loan.ts` makes.

use crate::names::Names;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::convert::Infallible;
use std::rc::Rc;
use tidelog_client::Model;
use tidelog_core::decider::Decider;

/// The model of the kind `application`. It only folds: this page appends nothing.
#[derive(Debug, Default)]
pub(crate) struct Loans {
    names: Names,
}

/// One application.
#[derive(Debug, Clone, Default)]
pub(crate) struct Loan {
    /// The last `A_` activity that was completed.
    status: Option<Rc<str>>,
    amount_requested: f64,
    events: u32,
    /// Every `A_` activity that was completed, in order, each once.
    reached: Vec<Rc<str>>,
    /// Who worked on it, in order, each once.
    resources: Vec<Rc<str>>,
    /// The type of the last event.
    last: Option<Rc<str>>,
}

/// A row as the page reads it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    status: String,
    amount_requested: f64,
    events: u32,
    reached: Vec<String>,
    resources: Vec<String>,
    last: String,
}

/// One step.
#[derive(Debug)]
pub(crate) struct Step {
    step_type: Rc<str>,
    /// Of a completed step of the application itself.
    activity: Option<Rc<str>>,
    amount_requested: f64,
    resource: Option<Rc<str>>,
}

/// What the fold reads of a payload.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(borrow)]
    resource: Option<Cow<'a, str>>,
    #[serde(default)]
    amount_requested: f64,
}

impl Loan {
    pub(crate) fn to_row(&self) -> Row {
        let texts = |names: &[Rc<str>]| names.iter().map(|name| name.to_string()).collect();
        let text = |name: &Option<Rc<str>>| name.as_deref().unwrap_or_default().to_owned();
        Row {
            status: text(&self.status),
            amount_requested: self.amount_requested,
            events: self.events,
            reached: texts(&self.reached),
            resources: texts(&self.resources),
            last: text(&self.last),
        }
    }
}

impl Decider for Loans {
    type State = Loan;
    type Command = Infallible;
    type Event = Step;
    type Refusal = Infallible;

    fn initial(&self) -> Loan {
        Loan::default()
    }

    fn decide(&self, _loan: &Loan, command: &Infallible) -> Result<Vec<Step>, Infallible> {
        match *command {}
    }

    fn evolve(&self, mut loan: Loan, step: &Step) -> Loan {
        loan.events += 1;
        loan.last = Some(Rc::clone(&step.step_type));
        if let Some(resource) = &step.resource {
            include(&mut loan.resources, resource);
        }
        if let Some(activity) = &step.activity {
            if &**activity == "A_SUBMITTED" {
                loan.amount_requested = step.amount_requested;
            }
            include(&mut loan.reached, activity);
            loan.status = Some(Rc::clone(activity));
        }
        loan
    }
}

impl Model for Loans {
    const KIND: &'static str = "application";

    fn write_event(&self, step: &Step) -> (String, u32, String) {
        (step.step_type.to_string(), 1, "{}".into())
    }

    fn read_event(&self, event_type: &str, _schema: u32, data: &str) -> Option<Step> {
        let data: Data<'_> = serde_json::from_str(data).ok()?;
        let activity = event_type
            .strip_suffix(".complete")
            .filter(|activity| activity.starts_with("A_"));
        Some(Step {
            step_type: self.names.of(event_type),
            activity: activity.map(|activity| self.names.of(activity)),
            amount_requested: data.amount_requested,
            resource: data.resource.map(|resource| self.names.of(&resource)),
        })
    }

    fn write_command(&self, command: &Infallible) -> (String, String) {
        match *command {}
    }

    fn read_command(&self, _name: &str, _args: &str) -> Option<Infallible> {
        None
    }

    fn describe(&self, refusal: &Infallible) -> (String, String) {
        match *refusal {}
    }
}

/// Names are kept once each, so that the same name is the same pointer.
fn include(list: &mut Vec<Rc<str>>, name: &Rc<str>) {
    if !list.iter().any(|each| Rc::ptr_eq(each, name)) {
        list.push(Rc::clone(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidelog_core::decider::fold;

    fn read(loans: &Loans, steps: &[(&str, &str)]) -> Row {
        let steps: Vec<Step> = steps
            .iter()
            .filter_map(|(step_type, data)| loans.read_event(step_type, 1, data))
            .collect();
        fold(loans, &steps).to_row()
    }

    #[test]
    fn an_application_is_what_its_steps_make_of_it() {
        let row = read(
            &Loans::default(),
            &[
                (
                    "A_SUBMITTED.complete",
                    r#"{"amountRequested":5000,"resource":"112"}"#,
                ),
                ("W_Completeren aanvraag.start", r#"{"resource":"a\"b"}"#),
                ("A_DECLINED.schedule", "{}"),
                ("A_PREACCEPTED.complete", r#"{"resource":"112"}"#),
                ("W_Completeren aanvraag.complete", "{}"),
            ],
        );
        assert_eq!(row.status, "A_PREACCEPTED");
        assert_eq!(row.amount_requested.to_bits(), 5000_f64.to_bits());
        assert_eq!(row.events, 5);
        assert_eq!(row.reached, ["A_SUBMITTED", "A_PREACCEPTED"]);
        assert_eq!(row.resources, ["112", "a\"b"]);
        assert_eq!(row.last, "W_Completeren aanvraag.complete");
    }
}
