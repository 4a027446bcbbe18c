//! One timer for each connection, which lags behind on purpose: a deadline that moves on costs nothing, because the timer
//! is set again only when it goes off.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::clock;

type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Default)]
pub struct Timer {
    /// When it goes off: never after the deadline that was asked for last.
    set: Option<(Instant, Sleep)>,
}

impl Timer {
    /// Ready when the deadline has passed.
    pub fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        loop {
            if let Some((goes_off, sleep)) = &mut self.set
                && *goes_off <= deadline
                && sleep.as_mut().poll(cx).is_pending()
            {
                return Poll::Pending;
            }
            let left = deadline.saturating_duration_since(clock::instant());
            if left.is_zero() {
                self.set = None;
                return Poll::Ready(());
            }
            self.set = Some((deadline, Box::pin(clock::sleep(left))));
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Timer").field(&self.set.as_ref().map(|(goes_off, _)| goes_off)).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_deadline_that_moves_either_way_is_kept() {
        let start = clock::instant();
        let at = |millis| start + Duration::from_millis(millis);
        let mut timer = Timer::default();
        let far = poll_fn(|cx| timer.poll(cx, at(60_000)));
        assert!(tokio::time::timeout(Duration::from_millis(20), far).await.is_err());
        poll_fn(|cx| timer.poll(cx, at(40))).await;
        assert!(clock::instant() >= at(40));
        let mut polls = 0;
        poll_fn(|cx| {
            polls += 1;
            timer.poll(cx, if polls == 1 { at(50) } else { at(80) })
        })
        .await;
        assert!(clock::instant() >= at(80), "it goes off at 50 and is set again");
    }
}
