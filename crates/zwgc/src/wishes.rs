//! What is wanted of the user's presence: control notices change it, and the presence follows.

use crate::{punts::Punts, report::report};
use std::cell::{Cell, RefCell};
use tokio::sync::Notify;
use zephyr_client::{Exposure, Subscription, variables::Variables};
use zephyr_core::sanitize;

/// What is wanted.
pub(crate) struct Wishes {
    pub(crate) exposure: Cell<Exposure>,
    /// Whether to subscribe and to show notices (zwgc, section 4.3).
    is_active: Cell<bool>,
    changed: Notify,
    /// The subscriptions to have again, in place of those of the subscription file.
    pub(crate) remembered: RefCell<Option<Vec<Subscription>>>,
    /// What is not shown.
    pub(crate) punts: RefCell<Punts>,
}

impl Wishes {
    /// What the user's variables say: without exposure nobody is told anything, and nothing is subscribed to.
    pub(crate) fn of(variables: &Variables) -> Self {
        let exposure = named_exposure(variables.text("exposure").as_deref()).unwrap_or_else(|name| {
            report(&format!("zwgc: invalid exposure level {name}, using exposure level none instead."));
            Exposure::None
        });
        Self {
            exposure: Cell::new(exposure),
            is_active: Cell::new(exposure != Exposure::None),
            changed: Notify::new(),
            remembered: RefCell::new(None),
            punts: RefCell::new(Punts::default()),
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.is_active.get()
    }

    /// Wants this. Who sends it has most likely changed the exposure before, so it is looked up again.
    pub(crate) fn set_active(&self, is_active: bool) {
        if self.is_active.replace(is_active) != is_active {
            if let Ok(exposure) = named_exposure(Variables::read().text("exposure").as_deref()) {
                self.exposure.set(exposure);
            }
            self.changed.notify_one();
        }
    }

    /// Waits until something else is wanted. Cancel safe.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// The exposure that the user's variable names; the name, sanitized, where there is no such.
fn named_exposure(variable: Option<&str>) -> Result<Exposure, String> {
    let Some(name) = variable else { return Ok(Exposure::OpStaff) };
    Exposure::named(name.trim()).ok_or_else(|| sanitize::name(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exposures() {
        assert_eq!(named_exposure(None), Ok(Exposure::OpStaff));
        assert_eq!(named_exposure(Some(" net-visible ")), Ok(Exposure::NetVisible));
        assert_eq!(named_exposure(Some("every\nbody")), Err("every\\u{a}body".to_owned()));
        let wishes = |text: &[u8]| Wishes::of(&Variables::from_files(&[text]));
        assert!(wishes(b"exposure = opstaff\n").is_active());
        for inactive in [&b"exposure = none\n"[..], b"exposure = everybody\n"] {
            let wishes = wishes(inactive);
            assert_eq!((wishes.is_active(), wishes.exposure.get()), (false, Exposure::None));
        }
    }
}
