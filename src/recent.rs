//! A least-recently-used cache with limits on count and memory, for long-lived processes and keys that clients choose.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// Values by name. A new value evicts the least recently used value that isn't in use.
#[derive(Debug)]
pub(crate) struct LruCache<K, V> {
    most: usize,
    most_bytes: usize,
    size: fn(&V) -> usize,
    entries: HashMap<K, CacheEntry<V>>,
    uses: u64,
}

#[derive(Debug)]
struct CacheEntry<V> {
    value: Arc<V>,
    used: u64,
}

impl<K: Eq + Hash + Clone, V> LruCache<K, V> {
    /// Creates a cache of at most `most` values with `most_bytes` of memory in total, by the `size` of each. It exceeds the
    /// limits only while the values are in use.
    pub(crate) fn new(most: usize, most_bytes: usize, size: fn(&V) -> usize) -> Self {
        Self { most, most_bytes, size, entries: HashMap::new(), uses: 0 }
    }

    /// The value of `name`. `make` creates it if the cache doesn't have it.
    pub(crate) fn get<Q>(&mut self, name: &Q, make: impl FnOnce() -> V) -> Arc<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        self.uses += 1;
        if let Some(entry) = self.entries.get_mut(name) {
            entry.used = self.uses;
            return Arc::clone(&entry.value);
        }
        self.make_room();
        let value = Arc::new(make());
        self.entries.insert(name.to_owned(), CacheEntry { value: Arc::clone(&value), used: self.uses });
        value
    }

    /// All values in the cache.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.values().map(|entry| &*entry.value)
    }

    /// How many values the cache has.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Evicts values until there is room for another.
    fn make_room(&mut self) {
        let mut bytes: usize = self.entries.values().map(|entry| (self.size)(&entry.value)).sum();
        while self.entries.len() >= self.most || bytes > self.most_bytes {
            let free = self.entries.iter().filter(|(_, entry)| Arc::strong_count(&entry.value) == 1);
            let Some(oldest) = free.min_by_key(|(_, entry)| entry.used).map(|(name, _)| name.clone()) else {
                return;
            };
            if let Some(entry) = self.entries.remove(&oldest) {
                bytes = bytes.saturating_sub((self.size)(&entry.value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(recent: &mut LruCache<String, u32>, name: &str) -> bool {
        *recent.get(name, || 0) != 0
    }

    #[test]
    fn the_least_recently_used_value_is_evicted_unless_it_is_in_use() {
        let mut recent = LruCache::<String, u32>::new(3, usize::MAX, |_| 0);
        let held = recent.get("held", || 1);
        for name in ["a", "b"] {
            recent.get(name, || 1);
        }
        assert!(known(&mut recent, "a"));
        recent.get("c", || 1);
        assert_eq!(recent.entries.len(), 3);
        assert!(known(&mut recent, "held") && known(&mut recent, "a") && !known(&mut recent, "b"));
        drop(held);
    }

    #[test]
    fn the_limit_is_exceeded_only_while_values_are_in_use() {
        let mut recent = LruCache::<String, u32>::new(2, usize::MAX, |_| 0);
        let held: Vec<_> = (0..10).map(|number| recent.get(number.to_string().as_str(), || 1)).collect();
        assert_eq!(recent.entries.len(), 10);
        drop(held);
        recent.get("new", || 1);
        assert_eq!(recent.entries.len(), 2);
    }

    #[test]
    fn the_total_memory_is_limited_too() {
        let mut recent = LruCache::<String, u32>::new(100, 10, |bytes| *bytes as usize);
        for number in 0..100 {
            recent.get(number.to_string().as_str(), || 4);
            assert!(recent.entries.len() <= 3);
        }
    }
}
