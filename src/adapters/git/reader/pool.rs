//! Work over many files on a few threads.

use std::{
    num::NonZero,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// More threads than this wait for memory and for libgit2's locks, not for processors.
const MAX: usize = 8;
/// Starting a thread costs about as much as so many small files.
const WORTH: usize = 64;

/// How many threads may still be started, whoever asks.
pub(super) struct Pool {
    free: AtomicUsize,
}

impl Default for Pool {
    fn default() -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        Pool { free: AtomicUsize::new(processors.min(MAX) - 1) }
    }
}

impl Pool {
    /// Runs `work` on this thread, and on as many more as are free and worth it. Each takes the next item from what it
    /// is given until there is none; what each makes of its items is collected.
    pub fn each<'i, I: Sync, T: Send>(
        &self,
        items: &'i [I],
        work: impl Fn(&mut dyn FnMut() -> Option<&'i I>) -> T + Sync,
    ) -> Vec<T> {
        let reached = AtomicUsize::new(0);
        let run = || work(&mut || items.get(reached.fetch_add(1, Ordering::Relaxed)));
        let more = self.take((items.len() / WORTH).saturating_sub(1));
        let made = thread::scope(|scope| {
            let others: Vec<_> = (0..more).map(|_| scope.spawn(run)).collect();
            let mut made = vec![run()];
            for other in others {
                match other.join() {
                    Ok(result) => made.push(result),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            made
        });
        self.free.fetch_add(more, Ordering::Relaxed);
        made
    }

    fn take(&self, wanted: usize) -> usize {
        let mut free = self.free.load(Ordering::Relaxed);
        loop {
            let taken = wanted.min(free);
            match self.free.compare_exchange_weak(free, free - taken, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return taken,
                Err(now) => free = now,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_once_and_threads_come_back() {
        let pool = Pool { free: AtomicUsize::new(3) };
        let items: Vec<usize> = (0..1000).collect();
        fn take_all<'i>(next: &mut dyn FnMut() -> Option<&'i usize>) -> Vec<usize> {
            std::iter::from_fn(next).copied().collect()
        }
        for (count, threads) in [(0, 1), (64, 1), (128, 2), (1000, 4)] {
            let made = pool.each(&items[..count], take_all);
            assert_eq!(made.len(), threads, "{count} items");
            let mut all = made.concat();
            all.sort_unstable();
            assert_eq!(all, items[..count]);
            assert_eq!(pool.free.load(Ordering::Relaxed), 3);
        }
    }
}
