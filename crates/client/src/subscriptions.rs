//! Lists of subscriptions.

use zephyr_engine::client::Subscription;

/// A list of subscriptions, for [`Zephyr::subscribe`](crate::Zephyr::subscribe) and its like. It can be made of one or
/// several, each a [`Subscription`] or a tuple: `(class, instance)`, with recipient `*`, or `(class, instance, recipient)`.
///
/// ```
/// # use zephyr_client::{Subscription, Subscriptions};
/// let one: Subscriptions = ("help", "*").into();
/// let several: Subscriptions = [("message", "personal", "me"), ("message", "urgent", "me")].into();
/// let read: Subscriptions = vec![Subscription::new("help", "*", "*")].into();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscriptions(pub Vec<Subscription>);

impl From<Subscription> for Subscriptions {
    fn from(one: Subscription) -> Self {
        Self(vec![one])
    }
}

impl<C: AsRef<[u8]>, I: AsRef<[u8]>> From<(C, I)> for Subscriptions {
    fn from(one: (C, I)) -> Self {
        Self(vec![one.into()])
    }
}

impl<C: AsRef<[u8]>, I: AsRef<[u8]>, R: AsRef<[u8]>> From<(C, I, R)> for Subscriptions {
    fn from(one: (C, I, R)) -> Self {
        Self(vec![one.into()])
    }
}

impl<T: Into<Subscription>> From<Vec<T>> for Subscriptions {
    fn from(list: Vec<T>) -> Self {
        Self(list.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Subscription>, const N: usize> From<[T; N]> for Subscriptions {
    fn from(list: [T; N]) -> Self {
        Self(list.into_iter().map(Into::into).collect())
    }
}

impl From<&[Subscription]> for Subscriptions {
    fn from(list: &[Subscription]) -> Self {
        Self(list.to_vec())
    }
}
