//! How many connections a worker has.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

/// Connections, and channels of connections, that a worker serves at the moment.
pub(super) struct OpenConnections {
    max: usize,
    count: Cell<usize>,
    changed: Notify,
}

/// One of them.
pub(super) struct OpenConnection(Rc<OpenConnections>);

impl OpenConnections {
    /// None yet, and not more than this.
    pub(super) fn up_to(max: usize) -> Self {
        Self { max, count: Cell::new(0), changed: Notify::new() }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count.get()
    }

    /// One more, as long as the value lives.
    pub(super) fn enter(this: &Rc<Self>) -> OpenConnection {
        this.count.set(this.count.get() + 1);
        OpenConnection(Rc::clone(this))
    }

    async fn until(&self, condition: impl Fn(usize) -> bool) {
        while !condition(self.count.get()) {
            self.changed.notified().await;
        }
    }

    /// Waits until there may be one more.
    pub(super) async fn room(&self) {
        self.until(|count| count < self.max).await;
    }

    /// Waits until there is none.
    pub(super) async fn none_left(&self) {
        self.until(|count| count == 0).await;
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.count.set(self.0.count.get().saturating_sub(1));
        // Everything is on one thread, so nobody can start to wait between the change and this.
        self.0.changed.notify_waiters();
    }
}
